"""Polygons to masks, exactly as the COCO tools rasterize them.

The rule (pycocotools, maskApi.c): the outline is followed in steps on a grid five times finer than
the pixels. Wherever a step crosses the centre of a pixel column, the column changes between outside
and inside from that height downwards. When the mask is read column by column, each crossing begins
or ends a run, so that pixels need not be filled one by one.

All polygons of an image are rasterized at once: arrays over corners, then over the crossings of
columns, each with the number of its polygon.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from seglib.errors import SeglibError

SCALE = 5  # steps per pixel
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def rasterize(polygons: Sequence[ArrayLike], size: tuple[int, int]) -> Tensor:
    """Rasterize one object given as polygons; a pixel belongs to it if any of them covers it.

    Args:
        polygons: each flat (x0, y0, x1, y1, …) or [K, 2], in pixels; pixel (0, 0) covers 0…1.
        size: (H, W) in pixels.

    Returns:
        bool [H, W].

    Raises:
        SeglibError: a polygon of fewer than three points, or coordinates that are not numbers.
    """
    return rasterize_objects([polygons], size)[0]


def rasterize_objects(objects: Sequence[Sequence[ArrayLike]], size: tuple[int, int]) -> Tensor:
    """Rasterize several objects, each given as polygons; see `rasterize`.

    Returns:
        bool [N, H, W].
    """
    height, width = size
    corners = [_corners(polygon) for polygons in objects for polygon in polygons]
    if not corners:
        return torch.zeros(len(objects), height, width, dtype=torch.bool)
    counts = np.array([len(c) for c in corners])
    place, polygon = _column_crossings(np.concatenate(corners), counts, height, width)
    # Two crossings of a polygon at the same position cancel out: no pixel lies between them.
    keys, times = np.unique(polygon * (height * width) + place, return_counts=True)
    polygon, place = np.divmod(keys[times % 2 == 1], height * width)
    owner = np.repeat(np.arange(len(objects)), [len(polygons) for polygons in objects])
    pixels = _fill(place, polygon, owner, len(objects) * height * width, height * width)
    return torch.from_numpy(pixels).view(-1, width, height).mT.contiguous()


def _corners(polygon: ArrayLike) -> Floats:
    """Check a polygon and return its corners as [K, 2]."""
    try:
        values = np.asarray(polygon).reshape(-1)
    except (TypeError, ValueError) as error:
        raise SeglibError(f"a polygon must be a list of numbers: {error}") from error
    if values.dtype.kind not in "iuf":  # NumPy would turn text and truth values into numbers
        raise SeglibError("a polygon must be a list of numbers, not of anything else")
    flat = values.astype(np.float64)
    if flat.size < 6 or flat.size % 2:
        raise SeglibError(
            f"a polygon needs at least three points (x, y), six numbers; this one has {flat.size}"
        )
    if not np.abs(flat).max() <= 1e6:  # NaN too is refused
        raise SeglibError("a polygon has coordinates that are not numbers within a million pixels")
    return flat.reshape(-1, 2)


def _column_crossings(corners: Floats, counts: Ints, height: int, width: int) -> tuple[Ints, Ints]:
    """Where the closed outlines cross the centre of a pixel column.

    An edge takes as many steps as its longer side is long. Only the steps across the centre of a
    column inside the image are computed, so outlines may reach far beyond the image.

    Args:
        corners: [K, 2] (x, y) in pixels, the corners of all polygons, one polygon after another.
        counts: [P], number of corners of each polygon.
        height: height of the image in pixels.
        width: width of the image in pixels.

    Returns:
        [C] positions column * H + row from which a column changes, at most just below its last
        pixel, and [C] numbers of the polygons.
    """
    following = np.arange(1, len(corners) + 1)
    following[counts.cumsum() - 1] -= counts  # the last corner's edge leads back to the first
    # astype truncates towards zero as C does, which is part of the rule for negative coordinates.
    x0, y0 = (SCALE * corners + 0.5).astype(np.int64).T
    x1, y1 = x0[following], y0[following]

    # The centre of column c is crossed by the step between 5 c + 2 and 5 c + 3.
    first = (-(-(np.minimum(x0, x1) - SCALE // 2) // SCALE)).clip(0, width)
    last = ((np.maximum(x0, x1) - SCALE // 2 - 1) // SCALE).clip(-1, width - 1)
    crossed = (last - first + 1).clip(0)  # [K] columns per edge
    edge = np.repeat(np.arange(len(crossed)), crossed)  # [C], the edge each crossing lies on
    column = np.arange(len(edge)) - (crossed.cumsum() - crossed)[edge] + first[edge]
    left = SCALE * column + SCALE // 2

    steep = np.abs(x1 - x0) < np.abs(y1 - y0)
    upper = np.where(
        steep[edge],
        _upper_of_steep(left, *(ends[edge] for ends in (x0, y0, x1, y1))),
        _upper_of_flat(left, *(ends[edge] for ends in (x0, y0, x1, y1))),
    )
    row = np.ceil((upper + 0.5) / SCALE - 0.5).clip(0, height).astype(np.int64)
    place = column * height + row
    inside = place < height * width
    polygon = np.repeat(np.arange(len(counts)), counts)[edge]
    return place[inside], polygon[inside]


def _line(u0: Ints, v0: Ints, u1: Ints, v1: Ints) -> tuple[Ints, Ints, Floats]:
    """A line that advances along u, described from its end with the smaller u.

    Both directions of an edge thus give the same line.

    Returns:
        u and v of that end, and the slope; `_rounded` gives v after a number of steps.
    """
    backwards = u1 < u0
    slope = np.where(backwards, v0 - v1, v1 - v0) / np.maximum(np.abs(u1 - u0), 1)
    return np.minimum(u0, u1), np.where(backwards, v1, v0), slope


def _rounded(origin: Ints, slope: Floats, step: Ints) -> Ints:
    return (origin + slope * step + 0.5).astype(np.int64)


def _upper_of_flat(left: Ints, x0: Ints, y0: Ints, x1: Ints, y1: Ints) -> Ints:
    """The smaller y of the two points at x = left and left + 1, on edges that step along x."""
    origin_x, origin_y, slope = _line(x0, y0, x1, y1)
    step = left - origin_x
    return np.minimum(_rounded(origin_y, slope, step), _rounded(origin_y, slope, step + 1))


def _upper_of_steep(left: Ints, x0: Ints, y0: Ints, x1: Ints, y1: Ints) -> Ints:
    """The y before the step that changes x between left and left + 1, on edges along y."""
    origin_y, origin_x, slope = _line(y0, x0, y1, x1)
    rising = slope > 0
    # x crosses at the first step beyond left + 1/2; rounding may miss it by one.
    with np.errstate(divide="ignore", invalid="ignore"):
        near = np.nan_to_num((left + 0.5 - origin_x) / slope, posinf=0, neginf=0)
    step = np.floor(near).astype(np.int64) - 1
    for _ in range(3):
        passed = (_rounded(origin_x, slope, step) > left) == rising
        step = np.where(passed, step, step + 1)
    return origin_y + step - 1


def _fill(
    place: Ints, polygon: Ints, owner: Ints, pixels: int, pixels_each: int
) -> NDArray[np.bool_]:
    """Set the pixels that lie within at least one polygon of their object.

    Args:
        place: [C] crossings, sorted within each polygon: they enter and leave it in turn.
        polygon: [C], sorted.
        owner: [P] the object of each polygon.
        pixels: number of pixels of all objects together.
        pixels_each: number of pixels of one object.

    Returns:
        bool [pixels], object after object, each column by column.
    """
    turn = np.arange(len(polygon)) - np.searchsorted(polygon, polygon)
    sign = 1 - 2 * (turn % 2)  # +1 enters, -1 leaves
    # A polygon that is entered and not left is left at the end of the object's last column.
    open_polygons = np.flatnonzero(np.bincount(polygon, minlength=len(owner)) % 2)
    place = np.concatenate(
        [
            place + owner[polygon] * pixels_each,
            (owner[open_polygons] + 1) * pixels_each,
        ]
    )
    sign = np.concatenate([sign, np.full(len(open_polygons), -1)])
    order = np.argsort(place, kind="stable")
    # The number of polygons around a pixel, from each change to the next.
    depth = np.concatenate([[0], sign[order].cumsum()])
    lengths = np.diff(place[order], prepend=0, append=pixels)
    return np.repeat(depth > 0, lengths)
