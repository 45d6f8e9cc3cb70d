"""The pixels that the parts of objects and their shadows cover, for a whole scene in one pass."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.raster import (
    FULL,
    Points,
    Window,
    bounds,
    cut,
    fill_cells,
    on_grid,
)
from seglib.data.pocket.shapes import Part
from seglib.data.pocket.sprite import Sprite
from seglib.data.pocket.texture import Float

Light = tuple[float, float]
"""Unit vector (x, y) towards the light."""

UNIT = np.float32(1 / FULL)
_IMAGE = (0, 0, SIZE, SIZE)


@dataclass
class Cover:
    """The covered share, 0…1, of every pixel in a window.

    Attributes:
        x, y: the window's left column and top row.
        values: float32 [h, w].
    """

    x: int
    y: int
    values: Float

    @property
    def window(self) -> tuple[slice, slice]:
        """Index of the window in the image or sprite that contains it."""
        height, width = self.values.shape
        return slice(self.y, self.y + height), slice(self.x, self.x + width)


@dataclass
class Covers:
    """The covers of one sprite.

    Attributes:
        parts: back to front, each within the window of the silhouette.
        shadow: the silhouette projected onto the ground, in the image; None if the sprite flies.
    """

    parts: list[tuple[Part, Cover]]
    shadow: Cover | None


@dataclass
class _Layers:
    """The polygons to fill for one sprite, and where they begin in the list of the scene."""

    sprite: Sprite
    parts: list[Part]
    limits: dict[int, Part]  # the part that clips the part of this number
    shadow: list[Points]
    begin: int

    @property
    def rings(self) -> list[list[Points]]:
        """The parts, the parts that clip some of them, and the shadow."""
        rings = [part.rings for part in self.parts] + [p.rings for p in self.limits.values()]
        return [*rings, self.shadow] if self.shadow else rings

    def placed(self, light: Light) -> Points:
        """The vertices of `rings` in pixels."""
        points = self.sprite.pose(np.concatenate([ring for layer in self.rings for ring in layer]))
        if self.shadow:
            _lay_flat(points[-sum(map(len, self.shadow)) :], self.sprite.pose.y, light)
        return points

    def windows(self) -> list[Window]:
        """The window in which each layer is needed."""
        inside = [self.sprite.silhouette.bounds] * (len(self.parts) + len(self.limits))
        return [*inside, _IMAGE] if self.shadow else inside


def cover_sprites(sprites: Sequence[Sprite], light: Light) -> list[Covers]:
    """The covers of every sprite's parts and shadow."""
    plans: list[_Layers] = []
    layers: list[list[Points]] = []
    for sprite in sprites:
        plans.append(_plan(sprite, len(layers)))
        layers += plans[-1].rings
    outlines = on_grid(layers, np.concatenate([plan.placed(light) for plan in plans]))
    windows = bounds(outlines, np.array([w for plan in plans for w in plan.windows()]).T)
    for plan in plans:
        first = plan.begin + len(plan.parts)
        for i, number in enumerate(plan.limits):
            windows[:, first + i] = windows[:, plan.begin + number]
    values = cut(fill_cells(outlines, windows) * UNIT, windows)
    corners = windows[:2].T.tolist()
    covers = [Cover(x, y, v) for (x, y), v in zip(corners, values, strict=True)]
    return [_gather(plan, covers[plan.begin :]) for plan in plans]


def _plan(sprite: Sprite, begin: int) -> _Layers:
    parts = [part for part in sprite.parts if part.kind != "hole"]
    limits = {i: part.within for i, part in enumerate(parts) if part.within is not None}
    flies = SKY in sprite.kind.surfaces
    bodies = [] if flies else [r for part in parts if part.kind == "body" for r in part.rings]
    return _Layers(sprite, parts, limits, bodies, begin)


def _lay_flat(points: Points, ground: float, light: Light) -> None:
    """Project points that stand on row `ground` onto the ground, away from the light, in place."""
    up = ground - points[:, 1]
    points[:, 0] -= light[0] * 0.75 * up
    points[:, 1] = ground - 0.24 * up + 0.5


def _gather(plan: _Layers, covers: list[Cover]) -> Covers:
    """The clipped covers of one sprite, with which `covers` begins."""
    count = len(plan.parts)
    for i, number in enumerate(plan.limits):
        covers[number].values = covers[number].values * covers[count + i].values
    x, y = plan.sprite.silhouette.x, plan.sprite.silhouette.y
    for cover in covers[:count]:
        cover.x, cover.y = cover.x - x, cover.y - y
    shadow = covers[count + len(plan.limits)] if plan.shadow else None
    return Covers(list(zip(plan.parts, covers[:count], strict=True)), shadow)
