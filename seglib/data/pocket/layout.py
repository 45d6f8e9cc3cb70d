"""Decide what a scene contains: sizes, groups of one kind, occlusion, crowds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.land import Land
from seglib.data.pocket.placing import (
    MIN_VISIBLE,
    find_place,
    fits,
    make_cutout,
    make_sibling,
    random_spot,
)
from seglib.data.pocket.shapes import KINDS, Kind
from seglib.data.pocket.sprite import Sprite

_MIN_VISIBLE_SHARE = 0.36
_COUNTS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
_COUNT_WEIGHTS = (1, 2, 3, 4, 4, 4, 3, 2, 2, 1, 1)
# px² before occlusion and truncation, which make some large objects medium and some medium small.
_SIZES = ((64.0, 250.0), (275.0, 1600.0), (1800.0, 4800.0))
_SIZE_WEIGHTS = (0.17, 0.37, 0.62)
_CROWD_CATEGORIES = (1, 16, 9, 3, 60)
_CROWDED_SCENES = 0.1
_NEAR_ANOTHER = 0.3
_WITH_SIBLINGS = 0.28


@dataclass
class Item:
    """The sprites of one annotation: one, or many for a crowd."""

    sprites: list[Sprite]
    iscrowd: bool = False

    @property
    def category(self) -> int:
        """COCO id."""
        return self.sprites[0].kind.category


@dataclass
class Layout:
    """The objects of a scene, and which one is visible at each pixel.

    Attributes:
        items: the items in the order in which they were placed.
        owner: int32 [H, W], index into items, −1 for scenery.
        depth: float64 [H, W], depth of the frontmost sprite; −inf for scenery.
        seen: visible pixels of each item.
    """

    items: list[Item] = field(default_factory=list)
    owner: NDArray[np.int32] = field(default_factory=lambda: np.full((SIZE, SIZE), -1, np.int32))
    depth: NDArray[np.float64] = field(default_factory=lambda: np.full((SIZE, SIZE), -np.inf))
    seen: list[int] = field(default_factory=list)

    def stack(self) -> list[Sprite]:
        """All sprites from back to front."""
        sprites = [sprite for item in self.items for sprite in item.sprites]
        return sorted(sprites, key=lambda sprite: sprite.depth)

    def try_add(self, item: Item) -> bool:
        """Add the item, unless too little of it or of an item that it hides would be visible."""
        counts = np.array([0, *self.seen, 0])  # scenery, the items, the new one
        before = []
        for sprite in item.sprites:
            owner, depth = self.owner[sprite.window], self.depth[sprite.window]
            shows = sprite.mask & (depth <= sprite.depth)
            lost = np.bincount(owner[shows] + 1, minlength=len(counts))
            counts -= lost
            counts[-1] += lost.sum()
            before.append((owner, owner.copy(), depth, depth.copy()))
            np.copyto(owner, len(self.items), where=shows)
            np.copyto(depth, sprite.depth, where=shows)
        seen = counts[1:].tolist()
        if all(map(_is_visible, [*self.items, item], seen)):
            self.items.append(item)
            self.seen = seen
            return True
        for owner, old_owner, depth, old_depth in reversed(before):
            owner[:], depth[:] = old_owner, old_depth
        return False


def _is_visible(item: Item, visible: int) -> bool:
    """Whether enough of the item can be seen when `visible` of its pixels are."""
    if visible < MIN_VISIBLE:
        return False
    return item.iscrowd or visible >= _MIN_VISIBLE_SHARE * sum(
        sprite.area for sprite in item.sprites
    )


def draw_layout(chance: Chance, land: Land) -> Layout:
    """Up to 12 items on this land; rarely, where space is short, fewer than 2."""
    layout = Layout()
    count = chance.pick(_COUNTS, _COUNT_WEIGHTS)
    present = {int(i) for i in np.unique(land.stuff[::4, ::4])}
    kinds = [kind for kind in KINDS if present & set(kind.surfaces)]
    if chance.happens(_CROWDED_SCENES):
        _add_crowd(chance, layout, land, kinds)
    for _ in range(8 * count):
        if len(layout.items) >= count:
            break
        _add_group(chance, layout, land, kinds, count)
    return layout


def _add_group(chance: Chance, layout: Layout, land: Land, kinds: list[Kind], wanted: int) -> None:
    """Add one object, often with others of its kind beside it."""
    kind = chance.pick(kinds, [kind.weight for kind in kinds])
    area = chance.log_between(*chance.pick(_SIZES, _SIZE_WEIGHTS))
    singles = [item.sprites[0] for item in layout.items if not item.iscrowd]
    target = chance.pick(singles) if singles and chance.happens(_NEAR_ANOTHER) else None
    sprite = find_place(chance, land, make_cutout(chance, kind, area), area, target, layout.owner)
    if sprite is None or not layout.try_add(Item([sprite])) or not chance.happens(_WITH_SIBLINGS):
        return
    for _ in range(min(chance.pick((1, 2, 3), (3, 2, 1)), wanted - len(layout.items))):
        sibling = make_sibling(chance, sprite)
        if fits(sibling, land) and layout.try_add(Item([sibling])):
            sprite = sibling


def _add_crowd(chance: Chance, layout: Layout, land: Land, kinds: list[Kind]) -> None:
    """Add seven or more objects of a kind close together, annotated as one group."""
    suitable = [kind for kind in kinds if kind.category in _CROWD_CATEGORIES]
    if not suitable:
        return
    kind = chance.pick(suitable)
    area = chance.between(70, 150)
    for _ in range(4):
        x, y, _ = random_spot(chance, land, kind, area * 2)
        members = []
        for _ in range(chance.integer(9, 15)):
            cutout = make_cutout(chance, kind, area * chance.between(0.8, 1.25))
            mx, my = x + chance.near(0, 30), y + chance.near(0, 9)
            depth = my * 1e-3 if SKY in kind.surfaces else 10 + my
            sprite = cutout.at(math.floor(mx), math.floor(my), depth)
            if fits(sprite, land):
                members.append(sprite)
        if len(members) >= 7 and layout.try_add(Item(members, iscrowd=True)):
            return
