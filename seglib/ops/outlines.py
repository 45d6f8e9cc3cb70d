"""Masks to polygons: outlines along the edges of pixels, which rasterize to the same mask again.

Many polygon files allow only one polygon per object. Parts and holes are then joined by seams,
lines that the polygon follows in both directions: both crossings of a pixel column are at the same
position and cancel (see polygons.py), so that a seam neither adds nor removes pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

Point = tuple[int, int]
Floats = NDArray[np.float64]


def mask_outlines(mask: Tensor) -> list[Floats]:
    """The closed outlines of a mask: one for each part, and one for each hole.

    Args:
        mask: bool [H, W].

    Returns:
        corners (x, y) in pixels, [K, 2] each; none for an empty mask. By the even-odd rule, they
        enclose exactly the pixels of the mask.
    """
    following = _edges(mask.cpu().numpy().astype(bool))
    outlines = []
    while following:
        start = next(iter(following))
        outlines.append(_without_straight(_walk(following, start)))
    return outlines


def join_outlines(outlines: Sequence[ArrayLike]) -> Floats:
    """Join the outlines of parts and holes, which do not overlap, to one polygon.

    Args:
        outlines: corners of each, flat or [K, 2].

    Returns:
        [K, 2]: each closed outline in turn, with seams to the first corner of the first outline.
    """
    rings = [np.asarray(outline, dtype=np.float64).reshape(-1, 2) for outline in outlines]
    if len(rings) == 1:
        return rings[0]
    joined = [*rings[0], rings[0][0]]
    for ring in rings[1:]:
        joined += [*ring, ring[0], rings[0][0]]
    return np.stack(joined[:-1])  # the polygon closes itself


def _edges(mask: NDArray[np.bool_]) -> dict[Point, list[Point]]:
    """The edges between set and unset pixels, by their first corner; the mask is on the right."""
    padded = np.pad(mask, 1)
    above, left = padded[:-1, 1:-1], padded[1:-1, :-1]  # [H + 1, W], [H, W + 1]: before each edge
    below, right = padded[1:, 1:-1], padded[1:-1, 1:]
    following: dict[Point, list[Point]] = {}
    for present, offset_from, offset_to in (
        (below & ~above, (0, 0), (1, 0)),  # tops, left to right
        (above & ~below, (1, 0), (0, 0)),  # bottoms, right to left
        (left & ~right, (0, 0), (0, 1)),  # right sides, downwards
        (right & ~left, (0, 1), (0, 0)),  # left sides, upwards
    ):
        rows, columns = np.nonzero(present)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True):
            first = (x + offset_from[0], y + offset_from[1])
            following.setdefault(first, []).append((x + offset_to[0], y + offset_to[1]))
    return following


def _walk(following: dict[Point, list[Point]], start: Point) -> list[Point]:
    """Follow edges from a corner until it is reached again, and remove them.

    At a corner where two pixels touch, either way is correct.
    """
    corners = [start]
    while True:
        ways = following[corners[-1]]
        after = ways.pop()
        if not ways:
            del following[corners[-1]]
        if after == start:
            return corners
        corners.append(after)


def _without_straight(corners: list[Point]) -> Floats:
    """Only the corners at which the outline turns."""
    points = np.array(corners, dtype=np.float64)
    before, after = np.roll(points, 1, axis=0), np.roll(points, -1, axis=0)
    turns = ((points - before) != (after - points)).any(axis=1)
    return points[turns]
