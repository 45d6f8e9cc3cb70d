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


@dataclass
class Coverage:
    """How much of each pixel is covered, in a window of the image.

    Attributes:
        x, y: the window's left column and top row.
        values: int32 [h, w], 0…FULL.
    """

    x: int
    y: int
    values: NDArray[np.int32]

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in a full image."""
        height, width = self.values.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)

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
    starts, ends = _edges(rings)
    x0, y0 = (max(0, int(min(starts[:, i].min(), ends[:, i].min())) // GRID) for i in (0, 1))
    x1, y1 = (min(size, int(max(starts[:, i].max(), ends[:, i].max())) // GRID + 1) for i in (0, 1))
    if x1 <= x0 or y1 <= y0:
        return Coverage(0, 0, np.zeros((0, 0), np.int32))
    width, height = x1 - x0, y1 - y0
    origin = np.array([x0 * GRID, y0 * GRID])
    row, x, sign = _crossings(starts - origin, ends - origin, height * _ROWS)
    x = np.minimum(np.maximum(x, 0), width * GRID)
    cell = row * (width + 2) + x // GRID
    part = x % GRID
    total = height * _ROWS * (width + 2)
    change = np.bincount(
        np.concatenate([cell, cell + 1]), np.concatenate([(GRID - part) * sign, part * sign]), total
    )
    rows = change.astype(np.int16).reshape(-1, width + 2)[:, :width]
    winding = np.abs(np.cumsum(rows, axis=1, dtype=np.int16))
    inside = np.minimum(winding, GRID, out=winding).reshape(height, _ROWS, width)
    covered = np.add.reduce(inside, axis=1, dtype=np.int32)
    return Coverage(x0, y0, covered)


def _edges(rings: Sequence[Points]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Start and end of every edge on the grid, all rings turning the same way."""
    points = np.concatenate(rings) if len(rings) > 1 else rings[0]
    grid = np.floor(points * GRID + _TIE_BREAKER).astype(np.int64)
    lengths = np.array([len(ring) for ring in rings])
    first = np.cumsum(lengths) - lengths
    following = np.arange(1, len(grid) + 1)
    following[first + lengths - 1] = first
    after = grid[following]
    twice_area = np.add.reduceat(grid[:, 0] * after[:, 1] - grid[:, 1] * after[:, 0], first)
    forward = np.repeat(twice_area >= 0, lengths)[:, None]
    return np.where(forward, grid, after), np.where(forward, after, grid)


def _crossings(
    starts: NDArray[np.int64], ends: NDArray[np.int64], rows: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Sub-scanline, x and direction of every crossing of an edge with a sub-scanline."""
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
    x = top[edge, 0] + (row * _STEP + half - top[edge, 1]) * rise[:, 0] // rise[:, 1]
    return row, x, np.where(down, 1, -1)[edge]
