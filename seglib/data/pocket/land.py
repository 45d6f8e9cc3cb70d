"""The outlines of the scenery: where sky, sea, grass and road are, in perspective."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import GRASS, ROAD, SEA, SIZE, SKY
from seglib.data.pocket.geometry import Points, polygon
from seglib.data.pocket.raster import FULL, Coverage, fill_each


@dataclass
class Region:
    """One area of stuff.

    Attributes:
        category: COCO id.
        outline: its outline, including parts that other regions hide.
        top: its highest row, which is its own horizon.
        marks: outlines painted on it, such as lane lines.
        distance: 1 for the farthest ridge, 0 for the foreground; determines the haze.
        coverage: the pixels that the outline covers.
    """

    category: int
    outline: Points
    top: float
    marks: list[Points] = field(default_factory=list)
    distance: float = 0.0
    coverage: Coverage = field(init=False)


@dataclass
class Land:
    """The regions of a scenery, in front of the sky.

    Attributes:
        horizon: row of the horizon.
        regions: back to front.
        stuff: int32 [H, W] COCO id of the frontmost region at each pixel.
    """

    horizon: float
    regions: list[Region]
    stuff: NDArray[np.int32]


def draw_land(chance: Chance) -> Land:
    """Draw one of seven kinds of scenery."""
    horizon = chance.between(0.3, 0.6) * SIZE
    plan = chance.pick(
        (_meadow, _coast, _highway, _shore_road, _street, _lake, _open_sea),
        (1.6, 2.6, 2.4, 1.8, 1.8, 1.2, 0.7),
    )
    regions = plan(chance, horizon)
    covers = fill_each([[region.outline] for region in regions], SIZE)
    stuff = np.full((SIZE, SIZE), SKY, np.int32)
    for region, coverage in zip(regions, covers, strict=True):
        region.coverage = coverage
        part = stuff[coverage.window]
        part[coverage.values >= FULL // 2] = region.category
    return Land(horizon, regions, stuff)


def _below(chance: Chance, category: int, y: float, bumps: float, distance: float = 0.0) -> Region:
    """Everything below a wavy line around row y."""
    waves = [
        (chance.between(0.3, 1.0) * bumps, chance.between(0.6, 2.2), chance.between(0, 6.3))
        for _ in range(3)
    ]
    line = []
    for i in range(33):
        x = i * (SIZE + 8) / 32 - 4
        rise = sum(a * math.sin(f * 2 * math.pi * x / SIZE + p) for a, f, p in waves)
        line.append((x, y + rise))
    ring = polygon(*line, (SIZE + 4, SIZE + 4), (-4, SIZE + 4))
    return Region(category, ring, y - 2 * bumps, distance=distance)


def _hills(chance: Chance, horizon: float, count: int) -> list[Region]:
    gap = chance.between(4, 9)
    return [
        _below(
            chance,
            GRASS,
            horizon + i * gap,
            chance.between(1.0, 3.5) if count > 1 else 1.0,
            1 - i / count if count > 1 else 0.0,
        )
        for i in range(count)
    ]


def _meadow(chance: Chance, horizon: float) -> list[Region]:
    return _hills(chance, horizon, chance.integer(2, 4))


def _coast(chance: Chance, horizon: float) -> list[Region]:
    shore = horizon + chance.between(0.22, 0.5) * (SIZE - horizon)
    return [_below(chance, SEA, horizon, 0.0), _below(chance, GRASS, shore, 2.5)]


def _lake(chance: Chance, horizon: float) -> list[Region]:
    hills = _hills(chance, horizon, chance.integer(1, 3))
    shore = horizon + chance.between(0.35, 0.6) * (SIZE - horizon)
    return [*hills, _below(chance, SEA, shore, 1.8)]


def _open_sea(chance: Chance, horizon: float) -> list[Region]:
    regions = [_below(chance, SEA, horizon, 0.0)]
    if chance.happens(0.6):
        regions.insert(0, _below(chance, GRASS, horizon - 3, 2.5, 0.9))
    return regions


def _highway(chance: Chance, horizon: float) -> list[Region]:
    """A road that runs to the vanishing point, through grass or beside the sea."""
    ground = [_below(chance, SEA, horizon, 0.0)] if chance.happens(0.3) else []
    first = horizon + (chance.between(4, 9) if ground else 0.0)
    ground += _hills(chance, first, 1 if ground else chance.integer(1, 3))
    start = ground[-1].top + 1.5
    return [*ground, _perspective_road(chance, max(start, horizon))]


def _perspective_road(chance: Chance, top: float) -> Region:
    vanish, foot = chance.between(0.2, 0.8) * SIZE, chance.between(0.25, 0.75) * SIZE
    bend = chance.near(0, 26)
    far, near = chance.between(2.0, 4.0), chance.between(34, 52)

    def at(t: float) -> tuple[float, float, float]:
        """Middle, row and half width at depth t: 0 is far away, 1 at the viewer."""
        y = top + (SIZE + 4 - top) * t
        middle = vanish + (foot - vanish) * t + bend * 4 * t * (1 - t) * (1 - t)
        return middle, y, far + (near - far) * t

    def strip(left: float, right: float, t0: float, t1: float, count: int) -> Points:
        steps = [at(t0 + (t1 - t0) * i / (count - 1)) for i in range(count)]
        return polygon(
            *[(m + left * h, y) for m, y, h in steps],
            *[(m + right * h, y) for m, y, h in reversed(steps)],
        )

    marks = [strip(-0.92, -0.84, 0.02, 1.0, 12), strip(0.84, 0.92, 0.02, 1.0, 12)]
    t = 0.06
    while t < 1.0:
        marks.append(strip(-0.045, 0.045, t, min(t * 1.28, 1.02), 3))
        t *= 1.62
    return Region(ROAD, strip(-1, 1, 0.0, 1.02, 16), top, marks)


def _street(chance: Chance, horizon: float) -> list[Region]:
    """A road across the picture, with grass in front of it and behind it."""
    hills = _hills(chance, horizon, chance.integer(1, 3))
    return [*hills, *_cross_road(chance, horizon)]


def _shore_road(chance: Chance, horizon: float) -> list[Region]:
    sea = _below(chance, SEA, horizon, 0.0)
    verge = _below(chance, GRASS, horizon + chance.between(0.16, 0.3) * (SIZE - horizon), 1.2)
    return [sea, verge, *_cross_road(chance, verge.top + 2)]


def _cross_road(chance: Chance, horizon: float) -> list[Region]:
    room = SIZE - horizon
    y0 = horizon + chance.between(0.2, 0.42) * room
    y1 = y0 + chance.between(0.3, 0.48) * room
    slope = chance.near(0, 0.06)

    def band(
        a: float, b: float, x0: float = -6.0, x1: float = SIZE + 6.0, lean: float = 0.0
    ) -> Points:
        rows = [y0 + (y1 - y0) * share for share in (a, b)]
        return polygon(
            (x0 + lean, rows[0] + slope * (x0 - 64)),
            (x1 + lean, rows[0] + slope * (x1 - 64)),
            (x1 - lean, rows[1] + slope * (x1 - 64)),
            (x0 - lean, rows[1] + slope * (x0 - 64)),
        )

    marks = [band(0.05, 0.09), band(0.9, 0.95)]
    x = chance.between(-20, 0)
    while x < SIZE:
        marks.append(band(0.45, 0.52, x, x + 14, 0.8))
        x += 24
    return [Region(ROAD, band(0, 1), y0 - 4, marks)]
