"""One scene from a seed and an index: its image and its annotated objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, VERSION
from seglib.data.pocket.covers import cover_sprites
from seglib.data.pocket.ground import paint_land
from seglib.data.pocket.land import Land, draw_land
from seglib.data.pocket.layout import Item, Layout, draw_layout
from seglib.data.pocket.paint import cast_shadow, light_direction, paint_sprite
from seglib.data.pocket.palette import MOOD_WEIGHTS, MOODS, coat
from seglib.data.pocket.texture import as_image


@dataclass
class SceneObject:
    """One annotated object.

    Attributes:
        category_id: COCO id.
        mask: bool [H, W], its visible pixels.
        iscrowd: whether it is a group outlined as one object.
        full_area: number of pixels that it would have in this image without occlusion.
        truncated: whether the border of the image cuts it.
    """

    category_id: int
    mask: NDArray[np.bool_]
    iscrowd: bool
    full_area: int
    truncated: bool


@dataclass
class Scene:
    """A drawn scene.

    Attributes:
        image: uint8 [H, W, 3] RGB.
        objects: 2 to 12 objects.
        stuff: int32 [H, W], COCO id of the scenery at every pixel, even behind objects.
    """

    image: NDArray[np.uint8]
    objects: list[SceneObject]
    stuff: NDArray[np.int32]


def draw_scene(seed: int, index: int) -> Scene:
    """Draw scene number `index` of the set identified by `seed`.

    The same arguments give the same masks on every machine, and the same image up to the
    floating-point rounding of its shading.
    """
    for attempt in range(64):
        chance = Chance(VERSION, seed, (index << 8) + 2 * attempt)
        land = draw_land(chance)
        layout = draw_layout(chance, land)
        if len(layout.items) >= 2:
            break
    image = _paint(Chance(VERSION, seed, (index << 8) + 2 * attempt + 1), land, layout)
    objects = [_describe(item, i, layout) for i, item in enumerate(layout.items)]
    return Scene(image, objects, land.stuff)


def _describe(item: Item, index: int, layout: Layout) -> SceneObject:
    alone = np.zeros((SIZE, SIZE), bool)
    for sprite in item.sprites:
        alone[sprite.window] |= sprite.mask
    truncated = any(s.area < s.full_area for s in item.sprites)
    return SceneObject(
        item.category,
        layout.owner == index,
        item.iscrowd,
        int(alone.sum()),
        truncated,
    )


def _paint(chance: Chance, land: Land, layout: Layout) -> NDArray[np.uint8]:
    mood = chance.pick(MOODS, MOOD_WEIGHTS)
    light = light_direction(chance)
    canvas = paint_land(chance, land, mood)
    canvas *= as_image(mood.tint)
    sprites = layout.stack()
    for sprite, covers in zip(sprites, cover_sprites(sprites, light), strict=True):
        cast_shadow(canvas, sprite, covers, land.stuff, light)
        paint_sprite(canvas, sprite, covers, coat(chance), light, mood.tint)
    pixels = np.clip(canvas * 255 + 0.5, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(pixels, 0, -1))
