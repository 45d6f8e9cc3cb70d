"""Outlines to build objects from: closed polygons, [N, 2] vertices (x right, y down)."""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.raster import Points

Pair = tuple[float, float]

_HALF_CIRCLE = np.array([cmath.rect(1, math.pi * (i / 7 - 0.5)) for i in range(8)])
"""Complex [8], from -i through 1 to i."""


@lru_cache(maxsize=64)
def _circle(count: int) -> Points:
    angles = [2 * math.pi * i / count for i in range(count)]
    return np.array([(math.cos(a), math.sin(a)) for a in angles])


def ellipse(x: float, y: float, rx: float, ry: float, turn: float = 0.0, count: int = 28) -> Points:
    """An ellipse with these half-axes, turned clockwise by `turn` radians."""
    points = _circle(count) * np.array((rx, ry))
    if turn:
        points = rotate(points, turn)
    points += np.array((x, y))
    return points


def arc(
    x: float, y: float, rx: float, ry: float, start: float, end: float, count: int = 14
) -> Points:
    """Points along an ellipse from angle `start` to `end` (radians, clockwise from the right)."""
    return np.array(_along(x, y, rx, ry, start, end, count)).reshape(-1, 2)


def _along(
    x: float, y: float, rx: float, ry: float, start: float, end: float, count: int
) -> list[float]:
    """x, y, x, y, …: NumPy reads a flat list several times as fast as a list of pairs."""
    angles = [start + (end - start) * i / (count - 1) for i in range(count)]
    return [z for a in angles for z in (x + rx * math.cos(a), y + ry * math.sin(a))]


def polygon(*points: Pair) -> Points:
    """The polygon with these corners."""
    return np.array(points, dtype=np.float64)


def box(x0: float, y0: float, x1: float, y1: float, radius: float = 0.0) -> Points:
    """A rectangle, with rounded corners if `radius` is positive."""
    if radius <= 0:
        return polygon((x0, y0), (x1, y0), (x1, y1), (x0, y1))
    r = min(radius, (x1 - x0) / 2, (y1 - y0) / 2)
    quarter = math.pi / 2
    corners = ((x1 - r, y1 - r), (x0 + r, y1 - r), (x0 + r, y0 + r), (x1 - r, y0 + r))
    flat: list[float] = []
    for i, (x, y) in enumerate(corners):
        flat += _along(x, y, r, r, i * quarter, (i + 1) * quarter, 5)
    return np.array(flat).reshape(-1, 2)


def limb(start: Pair, end: Pair, r0: float, r1: float | None = None) -> Points:
    """A line with round ends of radius r0 and r1: arms, legs, masts, stalks."""
    foot, tip = complex(*start), complex(*end)
    length = abs(tip - foot)
    heading = (tip - foot) / length if length else 1.0
    far = _HALF_CIRCLE * ((r0 if r1 is None else r1) * heading) + tip
    near = _HALF_CIRCLE * (-r0 * heading) + foot
    return np.concatenate([far, near]).view(np.float64).reshape(-1, 2)


def tube(points: Sequence[Pair], radii: Sequence[float]) -> list[Points]:
    """Limbs joined end to end: a bent arm, a tail, a handle."""
    return [limb(points[i], points[i + 1], radii[i], radii[i + 1]) for i in range(len(points) - 1)]


def smooth(*points: Pair, steps: int = 5) -> Points:
    """A closed curve through the points (Catmull-Rom)."""
    around = np.array(points, dtype=np.float64)[_neighbours(len(points))]
    points_between: Points = _catmull_rom(steps) @ around
    return points_between.reshape(-1, 2)


@lru_cache(maxsize=32)
def _neighbours(count: int) -> NDArray[np.int64]:
    """[N, 4] indices, for each point of a ring: the one before, itself, and the next two."""
    return (np.arange(count)[:, None] + (-1, 0, 1, 2)) % count


@lru_cache(maxsize=8)
def _catmull_rom(steps: int) -> Points:
    """[steps, 4] weights of four neighbours for points between the second and the third."""
    powers = np.array([[(i / steps) ** k for k in range(4)] for i in range(steps)])
    return powers @ (0.5 * np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]))


def rotate(points: Points, angle: float) -> Points:
    """The outline turned clockwise (y points down) about the origin by `angle` radians."""
    c, s = math.cos(angle), math.sin(angle)
    x, y = points[:, 0], points[:, 1]
    turned = np.empty_like(points)
    turned[:, 0] = c * x - s * y
    turned[:, 1] = s * x + c * y
    return turned


def translate(points: Points, x: float, y: float) -> Points:
    """The outline moved by (x, y)."""
    return points + np.array((x, y))


def curve(start: Pair, end: Pair, bulge: float, count: int = 6) -> list[Pair]:
    """Points on a curve from start to end, bent by the share `bulge` of their distance."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    points = []
    for i in range(count):
        t = i / (count - 1)
        away = bulge * 4 * t * (1 - t)
        points.append((start[0] + dx * t - dy * away, start[1] + dy * t + dx * away))
    return points
