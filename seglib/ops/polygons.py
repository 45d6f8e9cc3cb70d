"""Polygons to masks, exactly as the COCO tools draw them.

The rule (pycocotools, maskApi.c): walk along the outline on a grid five times finer than the
pixels; wherever the walk moves sideways across the middle of a pixel column, the column changes
between outside and inside from that height downwards. Reading the mask column by column, every
crossing is one place where a run of the RLE ends, so no pixel is ever filled one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.rle import RLE, decode

SCALE = 5  # steps of the walk a pixel


def rasterize(polygons: Sequence[ArrayLike], size: tuple[int, int]) -> Tensor:
    """Draw one object given as polygons; a pixel belongs to it when any of them covers it.

    Args:
        polygons: each flat (x0, y0, x1, y1, …) or [K, 2], in pixels; pixel (0, 0) covers 0…1.
        size: (H, W) in pixels.

    Returns:
        bool [H, W].

    Raises:
        SeglibError: a polygon of fewer than three points or with coordinates that are no numbers.
    """
    mask = torch.zeros(size, dtype=torch.bool)
    for polygon in polygons:
        mask |= decode(polygon_to_rle(polygon, size))
    return mask


def polygon_to_rle(polygon: ArrayLike, size: tuple[int, int]) -> RLE:
    """The runs of one polygon; see `rasterize`."""
    height, width = size
    crossings = _column_crossings(_walk(_points(polygon)), height, width)
    # Two crossings at one place cancel each other: the run between them would be empty.
    places, times = np.unique(crossings, return_counts=True)
    ends = places[(times % 2 == 1) & (places < height * width)]
    return RLE((height, width), np.diff(ends, prepend=0, append=height * width).tolist())


def _points(polygon: ArrayLike) -> NDArray[np.float64]:
    """Check a polygon and give it as [K, 2]."""
    try:
        flat = np.asarray(polygon, dtype=np.float64).reshape(-1)
    except (TypeError, ValueError) as error:
        raise SeglibError(f"a polygon must be a list of numbers: {error}") from error
    if flat.size < 6 or flat.size % 2:
        raise SeglibError(
            f"a polygon needs at least three points (x, y), so six numbers; this has {flat.size}"
        )
    if not np.isfinite(flat).all() or np.abs(flat).max() > 1e6:
        raise SeglibError("a polygon has coordinates that are not numbers within a million pixels")
    return flat.reshape(-1, 2)


def _walk(points: NDArray[np.float64]) -> NDArray[np.int64]:
    """Every grid point of the closed outline, in order: [M, 2] (x, y) in fifths of a pixel.

    An edge takes as many steps as its longer side is long, and stands at both its ends, so
    corners come twice, which adds no crossing.
    """
    # astype cuts towards zero, as C does; that is part of the rule for negative coordinates.
    start = (SCALE * points + 0.5).astype(np.int64)  # [K, 2]
    end = np.roll(start, -1, axis=0)
    delta = end - start
    steps = np.abs(delta).max(axis=1)  # [K]
    # Lines are computed from their left end (or upper end, when steep) to be the same both ways.
    steep = np.abs(delta[:, 0]) < np.abs(delta[:, 1])
    along = np.where(steep, delta[:, 1], delta[:, 0])
    backwards = (along < 0)[:, None]
    origin, target = np.where(backwards, end, start), np.where(backwards, start, end)
    slope = (target - origin) / np.maximum(steps, 1)[:, None]  # [K, 2], 1 along the longer side

    edge = np.repeat(np.arange(len(steps)), steps + 1)  # [M], the edge each point lies on
    first = np.cumsum(steps + 1) - (steps + 1)
    step = np.arange(len(edge)) - first[edge]
    step = np.where(backwards[edge, 0], steps[edge] - step, step)
    walked = (origin[edge] + slope[edge] * step[:, None] + 0.5).astype(np.int64)
    # Along the longer side the walk counts whole steps; nothing is rounded there.
    exact = origin[edge] + step[:, None]
    longer = np.stack([~steep, steep], axis=1)[edge]
    return np.where(longer, exact, walked)


def _column_crossings(walk: NDArray[np.int64], height: int, width: int) -> NDArray[np.int64]:
    """Where the walk crosses the middle of a pixel column, as positions column * H + row."""
    before, after = walk[:-1], walk[1:]
    sideways = before[:, 0] != after[:, 0]
    before, after = before[sideways], after[sideways]
    # A step from x to x + 1 is taken at x; the middle of column c is the step at 5 c + 2.
    x = np.minimum(before[:, 0], after[:, 0])
    column, rest = np.divmod(x, SCALE)
    inside = (rest == SCALE // 2) & (column >= 0) & (column < width)
    y = np.minimum(before[:, 1], after[:, 1])[inside]
    row = np.ceil((y + 0.5) / SCALE - 0.5).clip(0, height).astype(np.int64)
    return column[inside] * height + row
