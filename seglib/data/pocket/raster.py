"""Exact anti-aliased polygon filling in integers.

Vertices are rounded to a grid of 1/64 pixel. From there on everything is integer
arithmetic, so a mask has the same bits on every machine. A pixel's coverage is summed
over 4 sub-scanlines, exact in x: the accumulation that font rasterisers use. The four
sums of a pixel row share the 64 bits of one integer, 16 bits each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRID = 64
FULL = 256
"""Coverage of a pixel that lies inside."""

_SHIFT = 6  # GRID is 2 ** _SHIFT
_ROWS = 4
_STEP_SHIFT = 4  # a sub-scanline is 2 ** _STEP_SHIFT high
_STEP = GRID // _ROWS
# Keeps coordinates that are exact in theory away from ties, where one ulp would decide.
_TIE_BREAKER = 0.0137
_LANES = np.uint64(0x0001_0001_0001_0001)
_INSIDE = np.int16(GRID)
# Added to each lane so that none is negative and borrows from the next.
_BIAS = 1 << 14

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, half-open."""
Windows = Ints
"""int64 [4, L]: left, top, right, bottom of L windows; an empty one has right = left."""


@dataclass
class Coverage:
    """How much of each pixel is covered, in a window of the image.

    Attributes:
        x, y: the window's left column and top row.
        values: int16 [h, w], 0…FULL.
    """

    x: int
    y: int
    values: NDArray[np.int16]

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in a full image."""
        height, width = self.values.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

    @property
    def bounds(self) -> Window:
        """The window as (left, top, right, bottom)."""
        height, width = self.values.shape
        return self.x, self.y, self.x + width, self.y + height

    @property
    def empty(self) -> bool:
        """True when nothing of it can lie in the image."""
        return self.values.size == 0


@dataclass
class Outlines:
    """Closed polygons on the grid, in layers; each layer is filled as one union.

    Attributes:
        x, y: int64 [N] vertices in 1/64 pixel, one ring after another.
        start, end: int64 [R] each ring's first vertex, and the one after its last.
        layer_start, layer_end: int64 [L] the same for each layer.
    """

    x: Ints
    y: Ints
    start: Ints
    end: Ints
    layer_start: Ints
    layer_end: Ints


def on_grid(
    layers: Sequence[Sequence[Points]], place: Callable[[Points], Points] | None = None
) -> Outlines:
    """Round polygons to the grid.

    Args:
        layers: for each layer its rings, [N, 2] vertices (x, y) each; none is empty. A ring
            that crosses itself is filled by the non-zero rule.
        place: takes vertices to pixels, all at once; None if they are in pixels.
    """
    rings = [ring for layer in layers for ring in layer]
    points = np.concatenate(rings)
    if place is not None:
        points = place(points)
    x, y = np.floor(points.T * GRID + _TIE_BREAKER).astype(np.int64)
    end = np.array([len(ring) for ring in rings]).cumsum()
    start = np.concatenate([[0], end[:-1]])
    layer_end = end[np.array([len(layer) for layer in layers]).cumsum() - 1]
    return Outlines(x, y, start, end, np.concatenate([[0], layer_end[:-1]]), layer_end)


def bounds(outlines: Outlines, limit: Window | None = None) -> Windows:
    """For each layer the smallest window that holds its rings, cut to `limit`."""
    x, y, first = outlines.x, outlines.y, outlines.layer_start
    low = np.array([np.minimum.reduceat(x, first), np.minimum.reduceat(y, first)]) >> _SHIFT
    high = np.array([np.maximum.reduceat(x, first), np.maximum.reduceat(y, first)]) >> _SHIFT
    high += 1
    if limit is not None:
        corners = np.array(limit)[:, None]
        low = np.maximum(low, corners[:2])
        high = np.minimum(high, corners[2:])
        # Nothing in sight in one direction is nothing in the other.
        high = np.where((high > low).all(axis=0), high, low)
    return np.concatenate([low, high])


def fill(
    rings: Sequence[Points], size: int, place: Callable[[Points], Points] | None = None
) -> Coverage:
    """Coverage of the union of closed polygons, cropped to a size x size image.

    Args:
        rings: [N, 2] vertices (x, y) each, see `on_grid`.
        size: height and width of the image.
        place: takes vertices to pixels; None if they are in pixels.
    """
    outlines = on_grid([rings], place)
    windows = bounds(outlines, (0, 0, size, size))
    x0, y0, x1, _ = windows[:, 0].tolist()
    if x0 == x1:
        return Coverage(0, 0, np.zeros((0, 0), np.int16))
    return Coverage(x0, y0, fill_layers(outlines, windows)[0])


def fill_layers(outlines: Outlines, windows: Windows) -> list[NDArray[np.int16]]:
    """Coverage of each layer in its own window, in one pass.

    Returns:
        For each layer int16 [h, w], 0…FULL.
    """
    x0, y0, x1, y1 = windows
    width, height = x1 - x0, y1 - y0
    size = height * (width + 2)
    end = size.cumsum()
    total, begin = int(end[-1]), end - size
    layer, row, x, sign = _crossings(outlines, x0 * GRID, y0 * GRID, height * _ROWS)
    x = np.minimum(np.maximum(x, 0), (width * GRID)[layer])
    cell = begin[layer] + (row >> 2) * (width + 2)[layer] + (x >> _SHIFT)
    # From its cell on, a crossing counts in full; in the cell itself, what lies to the right.
    weight = sign << ((row & 3) << 4)
    part = (x & (GRID - 1)) * weight
    change = np.zeros(total + 1, np.int64)  # one more: there may be nothing to cover
    np.add.at(change, cell, (weight << _SHIFT) - part)
    np.add.at(change, cell + 1, part)
    change[0] += int(_LANES) * _BIAS
    # Outlines are closed, so a sub-scanline's changes add up to nothing: one sum serves all.
    winding = change.cumsum().view(np.int16) - np.int16(_BIAS)
    inside = np.abs(winding.clip(-_INSIDE, _INSIDE))
    covered = (inside.view(np.uint64) * _LANES >> np.uint64(48)).astype(np.int16)
    return [
        covered[at : at + h * (w + 2)].reshape(h, w + 2)[:, :w]
        for at, h, w in zip(begin.tolist(), height.tolist(), width.tolist(), strict=True)
    ]


def _crossings(
    outlines: Outlines, left: Ints, top: Ints, rows: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """Layer, sub-scanline, x and direction of every crossing of an edge with a sub-scanline.

    Args:
        outlines: L layers.
        left, top: [L] corners of their windows on the grid.
        rows: [L] sub-scanlines of their windows.
    """
    layer = np.repeat(np.arange(len(left)), outlines.layer_end - outlines.layer_start)
    x, y, limit = outlines.x - left[layer], outlines.y - top[layer], rows[layer]
    following = np.arange(1, len(x) + 1)
    following[outlines.end - 1] = outlines.start
    dx, dy = x[following] - x, y[following] - y
    # All rings are to turn the same way.
    turn = np.where(np.add.reduceat(x * dy - y * dx, outlines.start) >= 0, 1, -1)
    # Sub-scanline k runs at y = k * _STEP + half; an edge owns the upper of its ends.
    half = _STEP // 2
    rank = np.minimum(np.maximum((y + half - 1) >> _STEP_SHIFT, 0), limit)
    rise = rank[following] - rank
    count = np.abs(rise)
    sign = np.sign(rise) * np.repeat(turn, outlines.end - outlines.start)
    edge = np.repeat(np.arange(len(x)), count)
    offset = np.minimum(rank, rank[following]) - (count.cumsum() - count)
    row = np.arange(len(edge)) + offset[edge]
    crossing = (row * (_STEP * dx)[edge] + ((half - y) * dx + x * dy)[edge]) // dy[edge]
    return layer[edge], row, crossing, sign[edge]
