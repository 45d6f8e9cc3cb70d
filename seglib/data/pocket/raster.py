"""Exact anti-aliased polygon filling in integers.

Vertices are rounded to a grid of 1/64 pixel. From there on everything is integer
arithmetic, so a mask has the same bits on every machine. A pixel's coverage is summed
over 4 sub-scanlines, exact in x: the accumulation that font rasterisers use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

GRID = 64
FULL = 256
"""Coverage of a pixel that lies inside."""

_ROWS = 4
_STEP = GRID // _ROWS
# Keeps coordinates that are exact in theory away from ties, where one ulp would decide.
_TIE_BREAKER = 0.0137

Points = NDArray[np.float64]
Ints = NDArray[np.int64]
Window = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels, half-open."""


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


def fill(rings: Sequence[Points], size: int) -> Coverage:
    """Coverage of the union of closed polygons, cropped to a size x size image.

    Args:
        rings: [N, 2] vertices (x, y) in pixels each; a ring that crosses itself is filled
            by the non-zero rule.
        size: height and width of the image.
    """
    x0, y0, x1, y1 = bounds(rings)
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(size, x1), min(size, y1)
    if x1 <= x0 or y1 <= y0:
        return Coverage(0, 0, np.zeros((0, 0), np.int16))
    return Coverage(x0, y0, fill_layers([rings], (x0, y0, x1, y1))[0])


def bounds(rings: Sequence[Points]) -> Window:
    """The smallest window that holds the rings."""
    points = np.concatenate(rings)
    grid = np.floor(np.stack([points.min(axis=0), points.max(axis=0)]) * GRID + _TIE_BREAKER)
    (x0, y0), (x1, y1) = (grid // GRID).astype(int).tolist()
    return x0, y0, x1 + 1, y1 + 1


def fill_layers(layers: Sequence[Sequence[Points]], window: Window) -> NDArray[np.int16]:
    """Coverage of several unions of polygons in one pass.

    Args:
        layers: for each layer its rings.
        window: the pixels to cover, not empty.

    Returns:
        int16 [len(layers), h, w], 0…FULL.
    """
    x0, y0, x1, y1 = window
    width, height = x1 - x0, y1 - y0
    starts, ends, layer = _edges(layers)
    origin = np.array([x0 * GRID, y0 * GRID])
    row, x, sign = _crossings(starts - origin, ends - origin, layer, height * _ROWS)
    x = np.minimum(np.maximum(x, 0), width * GRID)
    cell = row * (width + 2) + x // GRID
    part = x % GRID
    total = len(layers) * height * _ROWS * (width + 2)
    change = np.bincount(
        np.concatenate([cell, cell + 1]), np.concatenate([(GRID - part) * sign, part * sign]), total
    )
    rows = change.astype(np.int16).reshape(-1, width + 2)[:, :width]
    winding = np.abs(np.cumsum(rows, axis=1, dtype=np.int16))
    inside = np.minimum(winding, GRID, out=winding).reshape(-1, height, _ROWS, width)
    return np.add.reduce(inside, axis=2, dtype=np.int16)


def _edges(layers: Sequence[Sequence[Points]]) -> tuple[Ints, Ints, Ints]:
    """Start, end and layer of every edge on the grid, all rings turning the same way."""
    rings = [ring for layer in layers for ring in layer]
    grid = np.floor(np.concatenate(rings) * GRID + _TIE_BREAKER).astype(np.int64)
    lengths = np.array([len(ring) for ring in rings])
    first = np.cumsum(lengths) - lengths
    following = np.arange(1, len(grid) + 1)
    following[first + lengths - 1] = first
    after = grid[following]
    twice_area = np.add.reduceat(grid[:, 0] * after[:, 1] - grid[:, 1] * after[:, 0], first)
    forward = np.repeat(twice_area >= 0, lengths)[:, None]
    layer = np.repeat(np.repeat(np.arange(len(layers)), [len(each) for each in layers]), lengths)
    return np.where(forward, grid, after), np.where(forward, after, grid), layer


def _crossings(starts: Ints, ends: Ints, layer: Ints, rows: int) -> tuple[Ints, Ints, Ints]:
    """Sub-scanline, x and direction of every crossing of an edge with a sub-scanline.

    Each layer has its own `rows` sub-scanlines, one layer after the other.
    """
    down = ends[:, 1] > starts[:, 1]
    top = np.where(down[:, None], starts, ends)
    bottom = np.where(down[:, None], ends, starts)
    # Sub-scanline k runs at y = k * _STEP + _STEP / 2; an edge owns top <= y < bottom.
    half = _STEP // 2
    first = np.minimum(np.maximum(-((half - top[:, 1]) // _STEP), 0), rows)
    last = np.minimum(np.maximum(-((half - bottom[:, 1]) // _STEP), 0), rows)
    count = last - first
    edge = np.repeat(np.arange(len(count)), count)
    offset = np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    row = first[edge] + offset
    rise = (bottom - top)[edge]
    start = top[edge]
    x = start[:, 0] + (row * _STEP + half - start[:, 1]) * rise[:, 0] // rise[:, 1]
    return row + layer[edge] * rows, x, np.where(down, 1, -1)[edge]
