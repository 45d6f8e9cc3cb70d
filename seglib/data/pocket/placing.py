"""Find places for objects: on the right surface, at a depth that matches their size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.land import Land
from seglib.data.pocket.shapes import Kind
from seglib.data.pocket.sprite import Cutout, Pose, Sprite

MIN_VISIBLE = 44
"""Minimum of visible pixels of an object; the data set guarantees 40."""

_TRIES = 8


def make_cutout(chance: Chance, kind: Kind, area: float) -> Cutout:
    """A new object of this kind that covers about `area` pixels."""
    parts = kind.draw(chance)
    scale = math.sqrt(area / kind.fullness)
    turn, flip = chance.near(0, kind.tilt), chance.happens(0.5)
    stretch = chance.near(1.0, 0.1)
    return Cutout(kind, parts, Pose(chance.unit(), chance.unit(), scale, turn, flip, stretch))


def find_place(
    chance: Chance,
    land: Land,
    cutout: Cutout,
    area: float,
    near: Sprite | None,
    owner: NDArray[np.int32],
) -> Sprite | None:
    """Place an object beside `near` or, without it, preferably where the image is still free.

    Args:
        chance: stream of random choices.
        land: the surfaces to stand on.
        cutout: the object to place.
        area: its size in px²; larger objects stand nearer.
        near: a sprite to overlap with, or None.
        owner: [H, W], −1 where there is no object yet.

    Returns:
        the placed object, or None if a few attempts fail.
    """
    for attempt in range(_TRIES):
        x, y, depth = random_spot(chance, land, cutout.kind, area)
        if near is not None:
            reach = 0.5 * math.sqrt(near.full_area) + 0.35 * math.sqrt(area)
            middle = near.silhouette.x + near.silhouette.values.shape[1] / 2
            x = middle + chance.near(0, 1.0) * reach
        if not is_on_surface(cutout.kind, x, y, land):
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


def random_spot(chance: Chance, land: Land, kind: Kind, area: float) -> tuple[float, float, float]:
    """x, y and stacking depth: nearer objects are larger and stand lower in the image."""
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
    """Whether enough of the sprite is in the image, and its foot on a surface of its kind."""
    if not is_on_surface(sprite.kind, *sprite.foot, land):
        return False
    return sprite.area >= max(MIN_VISIBLE, 0.5 * sprite.full_area)


def is_on_surface(kind: Kind, x: float, y: float, land: Land) -> bool:
    """Whether the pixel nearest to (x, y) shows a surface for this kind."""
    row, column = min(max(int(y), 0), SIZE - 1), min(max(int(x), 0), SIZE - 1)
    return int(land.stuff[row, column]) in kind.surfaces


def make_sibling(chance: Chance, sprite: Sprite) -> Sprite:
    """Another object of the sprite's kind, close enough to touch or overlap it."""
    area = sprite.full_area * chance.between(0.75, 1.3)
    cutout = make_cutout(chance, sprite.kind, area)
    x = sprite.pose.x + chance.sign() * chance.between(0.5, 0.88) * cutout.width
    if SKY in sprite.kind.surfaces:
        y = sprite.pose.y + chance.near(0, 0.4 * cutout.height)
        depth = sprite.depth + chance.near(0, 0.01)
    else:
        y = sprite.pose.y + chance.near(0, 0.12 * math.sqrt(area))
        depth = 10 + y
    return cutout.at(math.floor(x), math.floor(y), depth)
