"""The thing classes of Pocket COCO: how each is drawn, and where it may stand."""

from __future__ import annotations

from dataclasses import dataclass

from seglib.data.pocket.classes import GRASS, ROAD, SEA, SKY
from seglib.data.pocket.shapes.creatures import cat, flying_bird, person, standing_bird
from seglib.data.pocket.shapes.goods import clock, cup, donut, kite, plant, umbrella
from seglib.data.pocket.shapes.part import Draw, Part
from seglib.data.pocket.shapes.vehicles import airplane, boat, car


@dataclass(frozen=True)
class Kind:
    """One way in which a category appears.

    Attributes:
        category: COCO id.
        draw: makes the parts; the origin is the point on the ground or, for what flies, the
            middle.
        surfaces: COCO ids of the stuff that it stands on or flies in front of.
        fullness: typical area of its silhouette in square units.
        weight: relative frequency where it is possible.
        tilt: largest turn to either side, in radians.
    """

    category: int
    draw: Draw
    surfaces: tuple[int, ...]
    fullness: float
    weight: float = 1.0
    tilt: float = 0.08


KINDS: tuple[Kind, ...] = (
    Kind(1, person, (GRASS, ROAD), 0.403, 1.0, 0.08),
    Kind(3, car, (ROAD, ROAD, GRASS), 1.1, 1.25, 0.06),
    Kind(5, airplane, (SKY,), 1.05, 0.85, 0.35),
    Kind(9, boat, (SEA,), 0.595, 2.8, 0.1),
    Kind(16, standing_bird, (GRASS, ROAD), 0.57, 0.5, 0.12),
    Kind(16, flying_bird, (SKY,), 0.563, 0.6, 0.3),
    Kind(17, cat, (GRASS, ROAD), 0.58, 1.0, 0.08),
    Kind(28, umbrella, (GRASS, ROAD), 0.542, 1.2, 0.4),
    Kind(38, kite, (SKY,), 0.43, 0.95, 0.5),
    Kind(47, cup, (GRASS, ROAD), 0.71, 1.15, 0.12),
    Kind(60, donut, (GRASS, ROAD), 0.593, 1.0, 0.5),
    Kind(64, plant, (GRASS, ROAD), 0.463, 1.0, 0.06),
    Kind(85, clock, (GRASS, ROAD), 0.644, 1.25, 0.15),
)

__all__ = ["KINDS", "Draw", "Kind", "Part"]
