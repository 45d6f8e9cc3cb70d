"""Exact anti-aliased polygon filling in integers.

Vertices are rounded to a grid of 1/64 pixel. Everything after that is integer arithmetic, so a
mask has the same bits on every machine. A pixel's coverage is summed over 4 sub-scanlines, each
exact in x, as font rasterisers do. The four sums of a pixel row share the 64 bits of one integer,
16 bits each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

GRID = 64
FULL = 256
"""Coverage of a pixel that is completely inside."""

_SHIFT = 6  # GRID is 2 ** _SHIFT
_ROWS = 4
_STEP_SHIFT = 4  # a sub-scanline is 2 ** _STEP_SHIFT high
_STEP = GRID // _ROWS
# Shifts coordinates away from ties, where a rounding error would decide the result.
_TIE_BREAKER = 0.0137
_LANES = np.uint64(0x0001_0001_0001_0001)
_LAST_LANE = np.uint64(48)
_INSIDE = np.int16(GRID)
# Added to each lane, since a negative lane would borrow from the next.
_BIAS = 1 << 14
# Cells after each row, for changes to the right of the window.
_MARGIN = 2

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, half-open."""
Windows = Ints
"""int64 [4, L]: left, top, right, bottom of L windows; an empty one has right = left."""
Cell = TypeVar("Cell", np.int16, np.float32)


@dataclass
class Coverage:
    """The covered part of each pixel in a window of the image.

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
        """Whether no part of it can be in the image."""
        return self.values.size == 0


@dataclass
class Outlines:
    """Closed polygons on the grid, in layers; each layer is filled as one union.

    Attributes:
        points: int64 [2, N] x and y of the vertices in 1/64 pixel, one ring after another.
        following: int64 [N] the vertex after each, around its ring.
        ring_start, ring_size: int64 [R] each ring's first vertex, and how many it has.
        layer_start, layer_size: int64 [L] the same for each layer.
    """

    points: Ints
    following: Ints
    ring_start: Ints
    ring_size: Ints
    layer_start: Ints
    layer_size: Ints


def on_grid(layers: Sequence[Sequence[Points]], points: Points | None = None) -> Outlines:
    """Round polygons to the grid.

    Args:
        layers: the rings of each layer, [N, 2] vertices (x, y) each; none is empty. A ring that
            crosses itself is filled by the non-zero rule.
        points: float64 [N, 2] all vertices in pixels, if `layers` has other units.
    """
    rings = [ring for layer in layers for ring in layer]
    if points is None:
        points = np.concatenate(rings)
    grid = points.T * GRID
    grid += _TIE_BREAKER
    ring_size = np.array([len(ring) for ring in rings])
    ring_end = ring_size.cumsum()
    ring_start = ring_end - ring_size
    following = np.arange(1, len(points) + 1)
    following[ring_end - 1] = ring_start
    first = [0, *accumulate(map(len, layers))]
    layer_start = ring_start[first[:-1]]
    layer_size = ring_end[np.array(first[1:]) - 1] - layer_start
    vertices = np.floor(grid, out=grid).astype(np.int64, order="C")
    return Outlines(vertices, following, ring_start, ring_size, layer_start, layer_size)


def bounds(outlines: Outlines, limit: Windows | None = None) -> Windows:
    """The smallest window around the rings of each layer, cropped to `limit` ([4, L or 1])."""
    low = np.minimum.reduceat(outlines.points, outlines.layer_start, axis=1) >> _SHIFT
    high = (np.maximum.reduceat(outlines.points, outlines.layer_start, axis=1) >> _SHIFT) + 1
    if limit is not None:
        low = np.maximum(low, limit[:2])
        high = np.minimum(high, limit[2:])
        # A window that is empty in one direction is made empty in both.
        high = np.where(np.logical_and.reduce(high > low), high, low)
    return np.concatenate([low, high])


def fill(rings: Sequence[Points], size: int) -> Coverage:
    """Coverage of the union of closed polygons, cropped to a size x size image.

    Args:
        rings: [N, 2] vertices (x, y) in pixels each; see `on_grid`.
        size: height and width of the image.
    """
    return fill_each([rings], size)[0]


def fill_each(layers: Sequence[Sequence[Points]], size: int) -> list[Coverage]:
    """The results of `fill` for several unions of polygons, computed in one pass."""
    outlines = on_grid(layers)
    windows = bounds(outlines, np.array([[0], [0], [size], [size]]))
    corners = windows[:2].T.tolist()
    return [
        Coverage(x, y, values) if values.size else Coverage(0, 0, values)
        for (x, y), values in zip(corners, fill_layers(outlines, windows), strict=True)
    ]


def fill_layers(outlines: Outlines, windows: Windows) -> list[NDArray[np.int16]]:
    """Coverage of each layer in its own window, in one pass.

    Returns:
        int16 [h, w] per layer, 0…FULL.
    """
    return cut(fill_cells(outlines, windows), windows)


def cut(cells: NDArray[Cell], windows: Windows) -> list[NDArray[Cell]]:
    """Cut the result of `fill_cells` into its layers, [h, w] each."""
    layers = []
    begin = 0
    for x0, y0, x1, y1 in windows.T.tolist():
        height, stride = y1 - y0, x1 - x0 + _MARGIN
        end = begin + height * stride
        layers.append(cells[begin:end].reshape(height, stride)[:, :-_MARGIN])
        begin = end
    return layers


def fill_cells(outlines: Outlines, windows: Windows) -> NDArray[np.int16]:
    """Coverage of each layer in its own window, one after another, in one pass.

    Returns:
        int16 [cells], 0…FULL: the rows of each layer, with two zeros after every row.
    """
    x0, y0, x1, y1 = windows
    height, stride = y1 - y0, x1 - x0 + _MARGIN
    size = height * stride
    end = size.cumsum()
    right = (stride - _MARGIN) << _SHIFT
    row, x, sign, repeat = _crossings(outlines, windows[:2] << _SHIFT, height * _ROWS)
    np.minimum(np.maximum(x, 0, out=x), repeat(right), out=x)
    cell = repeat(end - size) + (row >> 2) * repeat(stride) + (x >> _SHIFT)
    # A crossing counts fully after its cell; in the cell itself only for the part to its right.
    weight = sign << ((row & 3) << 4)
    part = (x & (GRID - 1)) * weight
    change = np.zeros(int(end[-1]) + 1, np.int64)  # one more, so that it is never empty
    np.add.at(change, cell, (weight << _SHIFT) - part)
    np.add.at(change, cell + 1, part)
    change[0] += int(_LANES) * _BIAS
    # Outlines are closed, so the changes of a sub-scanline sum to zero: one cumulative sum does.
    winding = np.add.accumulate(change, out=change).view(np.int16)
    winding -= np.int16(_BIAS)
    winding.clip(-_INSIDE, _INSIDE, out=winding)
    np.abs(winding, out=winding)
    lanes = change.view(np.uint64)
    lanes *= _LANES
    lanes >>= _LAST_LANE
    return change.astype(np.int16)


def _crossings(
    outlines: Outlines, corner: Ints, rows: Ints
) -> tuple[Ints, Ints, Ints, Callable[[Ints], Ints]]:
    """Sub-scanline, x and direction of every crossing of an edge with a sub-scanline.

    Args:
        outlines: L layers.
        corner: [2, L] left and top of their windows on the grid.
        rows: [L] number of sub-scanlines of their windows.

    Returns:
        the three, and a function that repeats one number per layer for each crossing of the layer.
    """
    following = outlines.following
    limit = rows
    if several := len(rows) > 1:
        corner, limit = corner.repeat(outlines.layer_size, axis=1), rows.repeat(outlines.layer_size)
    x, y = points = outlines.points - corner
    dx, dy = points.take(following, axis=1) - points
    lever = x * dy - y * dx
    # Make all rings turn the same way.
    turn = np.where(np.add.reduceat(lever, outlines.ring_start) >= 0, 1, -1)
    # Sub-scanline k is at y = k * _STEP + half; an edge includes its upper end only.
    half = _STEP // 2
    rank = np.minimum(np.maximum((y + (half - 1)) >> _STEP_SHIFT, 0), limit)
    after = rank.take(following)
    rise = after - rank
    count = np.abs(rise)
    sign = np.sign(rise) * turn.repeat(outlines.ring_size)
    end = count.cumsum()
    row = (np.minimum(rank, after) - end + count).repeat(count)
    row += np.arange(len(row))
    crossing = row * (_STEP * dx).repeat(count)
    crossing += (half * dx + lever).repeat(count)
    crossing //= dy.repeat(count)

    def repeat(numbers: Ints) -> Ints:
        return numbers.repeat(outlines.layer_size).repeat(count) if several else numbers

    return row, crossing, sign.repeat(count), repeat
