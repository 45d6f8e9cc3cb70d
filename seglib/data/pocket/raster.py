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

_SHIFT = 6  # GRID is 2 ** _SHIFT
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
    window = bounds([rings], (0, 0, size, size))[0]
    if is_empty(window):
        return Coverage(0, 0, np.zeros((0, 0), np.int16))
    return Coverage(window[0], window[1], fill_layers([rings], [window])[0])


def bounds(layers: Sequence[Sequence[Points]], limit: Window | None = None) -> list[Window]:
    """For each layer the smallest window that holds its rings, cut to `limit`."""
    points = np.concatenate([ring for layer in layers for ring in layer])
    lengths = np.array([sum(len(ring) for ring in layer) for layer in layers], np.int64)
    first = np.cumsum(lengths) - lengths
    corners = np.concatenate(
        [np.minimum.reduceat(points, first), np.maximum.reduceat(points, first)], axis=1
    )
    pixels = (np.floor(corners * GRID + _TIE_BREAKER) // GRID).astype(np.int64)
    pixels[:, 2:] += 1
    if limit is not None:
        pixels[:, :2] = np.maximum(pixels[:, :2], limit[:2])
        pixels[:, 2:] = np.minimum(pixels[:, 2:], limit[2:])
    return [(x0, y0, x1, y1) for x0, y0, x1, y1 in pixels.tolist()]


def is_empty(window: Window) -> bool:
    """Whether no pixel lies in it."""
    return window[2] <= window[0] or window[3] <= window[1]


def fill_layers(
    layers: Sequence[Sequence[Points]], windows: Sequence[Window]
) -> list[NDArray[np.int16]]:
    """Coverage of several unions of polygons, each in its own window, in one pass.

    Args:
        layers: for each layer its rings.
        windows: for each layer the pixels to cover, not empty.

    Returns:
        For each layer int16 [h, w], 0…FULL.
    """
    x0, y0, x1, y1 = np.array(windows).T
    width, height = x1 - x0, y1 - y0
    begin = np.cumsum(height * _ROWS * (width + 2))
    begin, total = begin - height * _ROWS * (width + 2), int(begin[-1])
    starts, ends, layer = _edges(layers)
    origin = np.stack([x0 * GRID, y0 * GRID], axis=1)[layer]
    edge, row, x, sign = _crossings(starts - origin, ends - origin, (height * _ROWS)[layer])
    layer = layer[edge]
    x = np.minimum(np.maximum(x, 0), (width * GRID)[layer])
    cell = begin[layer] + row * (width + 2)[layer] + (x >> _SHIFT)
    part = x & (GRID - 1)
    change = np.bincount(
        np.concatenate([cell, cell + 1]), np.concatenate([(GRID - part) * sign, part * sign]), total
    )
    # Outlines are closed, so a sub-scanline's changes add up to nothing: one sum serves all.
    winding = np.cumsum(change.astype(np.int16), dtype=np.int16)
    inside = np.minimum(np.abs(winding, out=winding), GRID, out=winding)
    covered = []
    for at, h, w in zip(begin.tolist(), height.tolist(), width.tolist(), strict=True):
        rows = inside[at : at + h * _ROWS * (w + 2)].reshape(h, _ROWS, w + 2)[..., :w]
        covered.append(rows[:, 0] + rows[:, 1] + rows[:, 2] + rows[:, 3])
    return covered


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


def _crossings(starts: Ints, ends: Ints, rows: Ints) -> tuple[Ints, Ints, Ints, Ints]:
    """Edge, sub-scanline, x and direction of every crossing of an edge with a sub-scanline.

    `rows` is for each edge the number of sub-scanlines of its window.
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
    return edge, row, x, np.where(down, 1, -1)[edge]
