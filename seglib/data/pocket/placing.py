"""Finding a place: on the right surface, at a depth that goes with the size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.land import Land
from seglib.data.pocket.shapes import Kind
from seglib.data.pocket.sprite import Cutout, Pose, Sprite

LEAST_VISIBLE = 44
"""Fewest visible pixels of an object; the floor of the data set is 40."""

_TRIES = 8


def make(chance: Chance, kind: Kind, area: float) -> Cutout:
    """A new object of this kind, about `area` pixels large."""
    parts = kind.draw(chance)
    scale = math.sqrt(area / kind.fullness)
    turn, flip = chance.near(0, kind.tilt), chance.happens(0.5)
    stretch = chance.near(1.0, 0.1)
    return Cutout(kind, parts, Pose(chance.unit(), chance.unit(), scale, turn, flip, stretch))


def position(
    chance: Chance,
    land: Land,
    cutout: Cutout,
    area: float,
    near: Sprite | None,
    owner: NDArray[np.int32],
) -> Sprite | None:
    """Place it beside `near`, or else where the image is still free, if that is found soon.

    Args:
        chance: where from.
        land: whose surfaces count.
        cutout: what to place.
        area: its size in px²; larger things stand nearer.
        near: a sprite to overlap with, or None.
        owner: [H, W], −1 where no object is yet.
    """
    for attempt in range(_TRIES):
        x, y, depth = spot(chance, land, cutout.kind, area)
        if near is not None:
            reach = 0.5 * math.sqrt(near.full_area) + 0.35 * math.sqrt(area)
            middle = near.silhouette.x + near.silhouette.values.shape[1] / 2
            x = middle + chance.near(0, 1.0) * reach
        if not stands(cutout.kind, x, y, land):
            continue
        sprite = cutout.at(math.floor(x), math.floor(y), depth)
        if not fits(sprite, land):
            continue
        if near is None and attempt < _TRIES - 2:
            taken = np.count_nonzero((owner[sprite.window] >= 0) & sprite.mask)
            if taken > 0.12 * sprite.full_area:
                continue
        return sprite
    return None


def spot(chance: Chance, land: Land, kind: Kind, area: float) -> tuple[float, float, float]:
    """x, y and stacking depth: nearer things are larger and stand lower in the image."""
    side = math.sqrt(area)
    margin = 0.2 * side if chance.happens(0.35) else -0.35 * side
    x = chance.between(-margin, SIZE + margin)
    if SKY in kind.surfaces:
        lowest = max(land.horizon - 0.25 * side, 0.5 * land.horizon)
        return x, chance.between(0.08 * land.horizon, lowest), area * 1e-4
    near = math.log(side / 7) / math.log(60 / 7)
    share = min(max(chance.near(0.12 + 0.76 * near, 0.18), 0.04), 1.0 + 0.12 * near)
    y = land.horizon + (SIZE - land.horizon) * share
    return x, y, 10 + y


def fits(sprite: Sprite, land: Land) -> bool:
    """Enough of it is in the image, and its foot on its own surface."""
    if not stands(sprite.kind, *sprite.foot, land):
        return False
    return sprite.area >= max(LEAST_VISIBLE, 0.5 * sprite.full_area)


def stands(kind: Kind, x: float, y: float, land: Land) -> bool:
    """Whether the nearest pixel to (x, y) is a surface for this kind."""
    row, column = min(max(int(y), 0), SIZE - 1), min(max(int(x), 0), SIZE - 1)
    return int(land.stuff[row, column]) in kind.surfaces


def beside(chance: Chance, sprite: Sprite) -> Sprite:
    """Another of the kind, close enough to touch or overlap."""
    area = sprite.full_area * chance.between(0.75, 1.3)
    cutout = make(chance, sprite.kind, area)
    x = sprite.pose.x + chance.sign() * chance.between(0.5, 0.88) * cutout.width
    if SKY in sprite.kind.surfaces:
        y = sprite.pose.y + chance.near(0, 0.4 * cutout.height)
        depth = sprite.depth + chance.near(0, 0.01)
    else:
        y = sprite.pose.y + chance.near(0, 0.12 * math.sqrt(area))
        depth = 10 + y
    return cutout.at(math.floor(x), math.floor(y), depth)
