"""Paint objects: colours, relief, soft light, contact shadows and cast shadows."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.covers import UNIT, Cover, Covers, Light
from seglib.data.pocket.palette import Coat, Color, mix
from seglib.data.pocket.shapes import Part
from seglib.data.pocket.sprite import Sprite
from seglib.data.pocket.texture import Float, Image, as_image, noise, soften


def light_direction(chance: Chance) -> Light:
    """The direction towards the light of a scene, always above."""
    angle = chance.between(-2.5, -0.65)
    return math.cos(angle), math.sin(angle)


def paint_sprite(
    canvas: Image, sprite: Sprite, covers: Covers, coat: Coat, light: Light, tint: Color
) -> None:
    """Paint one object over the canvas, in place."""
    shape = sprite.silhouette
    cover = shape.values * UNIT
    paint = np.empty((3, *cover.shape), np.float32)
    paint[:] = as_image(coat["main"])
    _paint_parts(paint, covers.parts, coat, light)
    _shade(paint, cover, light, sprite)
    paint *= as_image(mix(np.ones(3, np.float32), tint, 0.6))
    part_of_canvas = canvas[:, *sprite.window]
    part_of_canvas += cover * (paint - part_of_canvas)


def _paint_parts(paint: Image, parts: list[tuple[Part, Cover]], coat: Coat, light: Light) -> None:
    """Paint the parts back to front into the sprite's own window."""
    for part, cover in parts:
        # The gradient runs from the first visible row to the last.
        rows = np.logical_or.reduce(cover.values, axis=1).nonzero()[0]
        if len(rows):
            tone = coat[part.tone] * np.float32(part.light)
            top, bottom = int(rows[0]), int(rows[-1]) + 1
            canvas = paint[:, *cover.window][:, top:bottom]
            _paint_part(canvas, cover.values[top:bottom], tone, part.relief, light)


@lru_cache(maxsize=SIZE)
def _fall(height: int) -> Float:
    """[h, 1] gradient, lighter at the top."""
    return np.linspace(0.07, -0.09, height, dtype=np.float32)[:, None]


def _paint_part(paint: Image, cover: Float, tone: Color, relief: float, light: Light) -> None:
    """Lighter above and on the edge that faces the light, darker on the other."""
    height, width = cover.shape
    dx, dy = round(light[0] * 1.2), round(light[1] * 1.2)
    around = np.zeros((height + 2, width + 2), np.float32)
    around[1:-1, 1:-1] = cover
    factor = cover - around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    factor *= np.float32(0.22)
    factor += _fall(height)
    factor *= np.float32(relief)
    factor += np.float32(1)
    change = as_image(tone) * factor
    change -= paint
    change *= cover
    paint += change


def _shade(paint: Image, cover: Float, light: Light, sprite: Sprite) -> None:
    """Shade the whole object: a lit side, a dark side, a darker outline and some grain."""
    height, width = cover.shape
    reach = max(3, round(0.16 * sprite.full_area**0.5))
    pad = reach + 1
    padded = np.zeros((height + 2 * pad, width + 2 * pad), np.float32)
    inner = (slice(pad, pad + height), slice(pad, pad + width))
    padded[inner] = cover
    soft, half = soften(padded, reach), np.float32(0.5)
    down = (soft[pad + 1 : 1 - pad, inner[1]] - soft[pad - 1 : -pad - 1, inner[1]]) * half
    across = (soft[inner[0], pad + 1 : 1 - pad] - soft[inner[0], pad - 1 : -pad - 1]) * half
    toward = across * np.float32(light[0]) + down * np.float32(light[1])
    lit: Float = -toward
    lit = np.minimum(np.maximum(lit * np.float32(1.1 * reach), -0.34), 0.3)
    rim: Float = np.float32(1.45) - np.float32(1.7) * soften(padded, 3)[inner]
    rim = np.minimum(np.maximum(rim, 0), 1)
    grain = np.float32(0.015) * noise(0.8, 0.8)[sprite.window]
    paint *= 1 + lit - np.float32(0.38) * rim + grain


def cast_shadow(
    canvas: Image, sprite: Sprite, covers: Covers, stuff: NDArray[np.int32], light: Light
) -> None:
    """Darken the ground behind a standing object, and softly whatever is just behind any object."""
    if covers.shadow is not None:
        _ground_shadow(canvas, covers.shadow, stuff)
    x0, y0, x1, y1 = sprite.silhouette.bounds
    # The silhouette moved by (dx, 1) and blurred, in a window with room for the blur.
    dx, room = -round(2.0 * light[0]), 6
    drop = np.zeros((y1 - y0 + 2 * room, x1 - x0 + 2 * room), np.float32)
    drop[room + 1 : 1 - room or None, room + dx : dx - room or None] = (
        sprite.silhouette.values * UNIT
    )
    dark = np.float32(0.22) * soften(drop, 4)
    left, top = x0 - room, y0 - room
    cx, cy = max(0, -left), max(0, -top)
    target = canvas[:, top + cy : y1 + room, left + cx : x1 + room]
    target *= 1 - dark[cy : cy + target.shape[1], cx : cx + target.shape[2]]


def _ground_shadow(canvas: Image, shape: Cover, stuff: NDArray[np.int32]) -> None:
    """Darken the ground where the shadow lies."""
    if shape.values.size:
        ground = shape.values * (stuff[shape.window] != SKY)
        canvas[:, *shape.window] *= 1 - np.float32(0.33) * soften(ground, 3)
