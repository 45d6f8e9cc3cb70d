"""Deciding what stands where: sizes by depth, groups of a kind, occlusion, crowds."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import AREA_RANGES, ROAD, SIZE, SKY
from seglib.data.pocket.land import Land
from seglib.data.pocket.shapes import KINDS, Kind, Part
from seglib.data.pocket.sprite import Pose, Sprite, extent, place, unit_area

LEAST_VISIBLE = 44
_LEAST_SHARE = 0.36
_SIZES = {"small": (64.0, 250.0), "medium": (275.0, 1600.0), "large": (1750.0, 4600.0)}
_SIZE_WEIGHTS = (0.25, 0.42, 0.36)
_CROWD_KINDS = (1, 16, 9, 3, 60)


@dataclass
class Item:
    """One annotation to be: a sprite, or the many sprites of a crowd."""

    sprites: list[Sprite]
    iscrowd: bool = False

    @property
    def category(self) -> int:
        """COCO id."""
        return self.sprites[0].kind.category


@dataclass
class Layout:
    """The objects of a scene and who owns each pixel.

    Attributes:
        items: in the order they were placed.
        owner: int32 [H, W], index into items, −1 for scenery.
        visible: pixels each item owns.
    """

    items: list[Item] = field(default_factory=list)
    owner: NDArray[np.int32] = field(default_factory=lambda: np.full((SIZE, SIZE), -1, np.int32))
    visible: list[int] = field(default_factory=list)

    def stack(self) -> list[tuple[int, Sprite]]:
        """(item index, sprite) from back to front."""
        pairs = [(i, s) for i, item in enumerate(self.items) for s in item.sprites]
        return sorted(pairs, key=lambda pair: pair[1].depth)

    def admits(self, item: Item) -> bool:
        """Add the item unless it, or one that it hides, would be too little to see."""
        trial = Layout([*self.items, item])
        for index, sprite in trial.stack():
            trial.owner[sprite.silhouette.window][sprite.mask] = index
        counts = np.bincount(trial.owner.ravel() + 1, minlength=len(trial.items) + 1)[1:]
        trial.visible = counts.tolist()
        for other, seen in zip(trial.items, trial.visible, strict=True):
            inside = sum(sprite.area for sprite in other.sprites)
            if seen < LEAST_VISIBLE or (seen < _LEAST_SHARE * inside and not other.iscrowd):
                return False
        self.items, self.owner, self.visible = trial.items, trial.owner, trial.visible
        return True


def draw_layout(chance: Chance, land: Land) -> Layout:
    """Between 2 and 12 items on this land."""
    layout = Layout()
    wanted = chance.pick((2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), (1, 2, 3, 4, 4, 4, 3, 2, 2, 1, 1))
    if chance.happens(0.1):
        _add_crowd(chance, layout, land)
    for _ in range(8 * wanted):
        if len(layout.items) >= wanted:
            break
        _add_group(chance, layout, land, wanted)
    return layout


def _kinds(land: Land) -> list[Kind]:
    """What can stand here, each surface with some room."""
    present = {int(i) for i in np.unique(land.stuff[::4, ::4])}
    return [kind for kind in KINDS if present & set(kind.surfaces)]


def _add_group(chance: Chance, layout: Layout, land: Land, wanted: int) -> None:
    """Add one object; often some of its own kind beside it."""
    kinds = _kinds(land)
    kind = chance.pick(kinds, [kind.weight for kind in kinds])
    area = chance.log_between(*chance.pick(tuple(_SIZES.values()), _SIZE_WEIGHTS))
    singles = [item.sprites[0] for item in layout.items if not item.iscrowd]
    target = chance.pick(singles) if singles and chance.happens(0.5) else None
    sprite = _position(chance, land, kind, area, target)
    if sprite is None or not layout.admits(Item([sprite])) or not chance.happens(0.34):
        return
    for _ in range(min(chance.pick((1, 2, 3), (3, 2, 1)), wanted - len(layout.items))):
        sibling = _beside(chance, sprite)
        if _fits(sibling, land) and layout.admits(Item([sibling])):
            sprite = sibling


def _make(chance: Chance, kind: Kind, area: float) -> tuple[list[Part], float, float]:
    """Parts, their unit area and the scale that gives them `area` pixels."""
    parts = kind.draw(chance)
    unit = unit_area(parts)
    return parts, unit, math.sqrt(area / unit)


def _position(
    chance: Chance, land: Land, kind: Kind, area: float, near: Sprite | None
) -> Sprite | None:
    """A sprite on its surface, at a depth that goes with its size; beside `near` if given."""
    parts, unit, scale = _make(chance, kind, area)
    turn, flip = chance.near(0, kind.tilt), chance.happens(0.5)
    for _ in range(6):
        x, y, depth = _spot(chance, land, kind, area)
        if near is not None:
            reach = 0.5 * math.sqrt(near.full_area) + 0.35 * math.sqrt(area)
            x = _center(near) + chance.near(0, 1.0) * reach
        if not _stands(kind, x, y, land):
            continue
        sprite = place(kind, parts, Pose(x, y, scale, turn, flip), depth, unit)
        if _fits(sprite, land):
            return sprite
    return None


def _center(sprite: Sprite) -> float:
    return sprite.silhouette.x + sprite.silhouette.values.shape[1] / 2


def _spot(chance: Chance, land: Land, kind: Kind, area: float) -> tuple[float, float, float]:
    """x, y and stacking depth: nearer things are larger and stand lower in the image."""
    side = math.sqrt(area)
    margin = 0.2 * side if chance.happens(0.35) else -0.35 * side
    x = chance.between(-margin, SIZE + margin)
    if SKY in kind.surfaces:
        reach = 0.25 * side
        return (
            x,
            chance.between(0.08 * land.horizon, max(land.horizon - reach, 0.5 * land.horizon)),
            area * 1e-4,
        )
    near = math.log(side / 7) / math.log(60 / 7)
    share = chance.near(0.12 + 0.76 * near, 0.18)
    y = land.horizon + (SIZE - land.horizon) * min(max(share, 0.04), 1.0 + 0.12 * near)
    return x, y, 10 + y


def _fits(sprite: Sprite, land: Land) -> bool:
    """Enough of it is in the image, and its foot on its own surface."""
    if not _stands(sprite.kind, sprite.pose.x, sprite.pose.y, land) or sprite.silhouette.empty:
        return False
    return sprite.area >= max(LEAST_VISIBLE, 0.5 * sprite.full_area)


def _stands(kind: Kind, x: float, y: float, land: Land) -> bool:
    """Whether the nearest pixel to (x, y) is a surface for this kind."""
    row, column = min(max(int(y), 0), SIZE - 1), min(max(int(x), 0), SIZE - 1)
    return int(land.stuff[row, column]) in kind.surfaces


def _beside(chance: Chance, sprite: Sprite) -> Sprite:
    """Another of the kind, close enough to touch or overlap."""
    area = sprite.full_area * chance.between(0.75, 1.3)
    parts, unit, scale = _make(chance, sprite.kind, area)
    (x0, y0), (x1, y1) = extent(parts)
    width = (x1 - x0) * scale
    x = sprite.pose.x + chance.sign() * chance.between(0.5, 0.88) * width
    up = SKY in sprite.kind.surfaces
    y = sprite.pose.y + chance.near(0, 0.4 * (y1 - y0) * scale if up else 0.12 * math.sqrt(area))
    turn = chance.near(0, sprite.kind.tilt)
    depth = sprite.depth + chance.near(0, 0.01) if up else 10 + y
    return place(sprite.kind, parts, Pose(x, y, scale, turn, chance.happens(0.5)), depth, unit)


def _add_crowd(chance: Chance, layout: Layout, land: Land) -> None:
    """Eight or more of a kind close together, annotated as one group."""
    kinds = [kind for kind in _kinds(land) if kind.category in _CROWD_KINDS]
    if not kinds:
        return
    kind = chance.pick(kinds)
    area = chance.between(70, 150)
    for _ in range(6):
        x, y, _ = _spot(chance, land, kind, area * 2)
        members = []
        for _ in range(chance.integer(9, 15)):
            parts, unit, scale = _make(chance, kind, area * chance.between(0.8, 1.25))
            mx, my = x + chance.near(0, 30), y + chance.near(0, 9)
            depth = my * 1e-3 if SKY in kind.surfaces else 10 + my
            turn, flip = chance.near(0, kind.tilt), chance.happens(0.5)
            sprite = place(kind, parts, Pose(mx, my, scale, turn, flip), depth, unit)
            if _fits(sprite, land):
                members.append(sprite)
        if len(members) >= 7 and layout.admits(Item(members, iscrowd=True)):
            return


__all__ = ["AREA_RANGES", "ROAD", "Item", "Layout", "draw_layout"]
