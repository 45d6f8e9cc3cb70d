"""Painting objects: colours, relief, soft light, contact and cast shadows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.palette import Coat, Color, mix
from seglib.data.pocket.raster import FULL, fill
from seglib.data.pocket.scenery import Image, noise, soften
from seglib.data.pocket.shapes import Part
from seglib.data.pocket.sprite import Sprite, aligned

Float = NDArray[np.float32]
Light = tuple[float, float]
_UNIT = np.float32(1 / FULL)


def paint_sprite(canvas: Image, sprite: Sprite, coat: Coat, light: Light, tint: Color) -> None:
    """Paint one object over the canvas, in place."""
    shape = sprite.silhouette
    if shape.empty:
        return
    cover = shape.values * _UNIT
    paint = np.empty((*cover.shape, 3), np.float32)
    paint[:] = coat["main"]
    for part in sprite.parts:
        if part.kind != "hole":
            _paint_part(paint, sprite, part, coat, light)
    _shade(paint, cover, light, sprite)
    paint *= mix(np.ones(3, np.float32), tint, 0.6)
    part_of_canvas = canvas[shape.window]
    part_of_canvas += cover[..., None] * (paint - part_of_canvas)


def _paint_part(paint: Image, sprite: Sprite, part: Part, coat: Coat, light: Light) -> None:
    """Paint one part into the sprite's own window."""
    shape = fill(sprite.pose.outline(part.rings), SIZE)
    if shape.empty:
        return
    values = shape.values
    if part.within is not None:
        limit = fill(sprite.pose.outline(part.within.rings), SIZE)
        values = values * aligned(limit, shape) // FULL
    whole = sprite.silhouette
    y0, x0 = max(0, shape.y - whole.y), max(0, shape.x - whole.x)
    y1 = min(whole.values.shape[0], shape.y - whole.y + values.shape[0])
    x1 = min(whole.values.shape[1], shape.x - whole.x + values.shape[1])
    if y1 <= y0 or x1 <= x0:
        return
    dy, dx = whole.y - shape.y, whole.x - shape.x
    cover = values[y0 + dy : y1 + dy, x0 + dx : x1 + dx] * _UNIT
    tone = coat[part.tone] * np.float32(part.light)
    fall = np.linspace(0.07, -0.09, y1 - y0, dtype=np.float32)[:, None] * np.float32(part.relief)
    edge = _edge(cover, light) * np.float32(0.22 * part.relief)
    target = tone * np.asarray(1 + fall + edge)[..., None]
    region = paint[y0:y1, x0:x1]
    region += cover[..., None] * (target - region)


def _edge(cover: Float, light: Light) -> Float:
    """Positive along the edge that faces the light, negative along the other."""
    dx, dy = round(light[0] * 1.2), round(light[1] * 1.2)
    padded = np.pad(cover, 1)
    height, width = cover.shape
    return cover - padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]


def _shade(paint: Image, cover: Float, light: Light, sprite: Sprite) -> None:
    """Round the whole object off: a lit side, a shaded side, a darker outline, some grain."""
    height, width = cover.shape
    reach = max(3, round(0.16 * sprite.full_area**0.5))
    pad = reach + 1
    padded = np.pad(cover, pad)
    swell = soften(padded, reach)
    slope_y, slope_x = np.gradient(swell)
    inner = (slice(pad, pad + height), slice(pad, pad + width))
    lit = -(slope_x * np.float32(light[0]) + slope_y * np.float32(light[1]))[inner]
    lit = np.clip(lit * np.float32(1.1 * reach), -0.34, 0.3)
    rim = 1 - soften(padded, 3)[inner]
    grain = np.float32(0.015) * noise(0.8, 0.8)[sprite.silhouette.window]
    factor = 1 + lit - np.float32(0.38) * np.clip(rim * np.float32(1.7) - np.float32(0.25), 0, 1)
    paint *= (factor + grain)[..., None]


def cast_shadow(canvas: Image, sprite: Sprite, stuff: NDArray[np.int32], light: Light) -> None:
    """Darken the ground behind a standing object, and softly all that it hangs over."""
    if SKY not in sprite.kind.surfaces:
        _ground_shadow(canvas, sprite, stuff, light)
    shape = sprite.silhouette
    if shape.empty:
        return
    drop = np.zeros((SIZE, SIZE), np.float32)
    dx, dy = -round(2.0 * light[0]), 1
    source = np.zeros_like(drop)
    source[shape.window] = shape.values * _UNIT
    drop[max(0, dy) :, :] = source[: SIZE - max(0, dy), :]
    drop = np.roll(drop, dx, axis=1)
    y0, x0 = max(0, shape.y - 4), max(0, shape.x - 5)
    y1, x1 = shape.y + shape.values.shape[0] + 5, shape.x + shape.values.shape[1] + 6
    window = (slice(y0, y1), slice(x0, x1))
    canvas[window] *= (1 - np.float32(0.22) * soften(drop[window], 4))[..., None]


def _ground_shadow(canvas: Image, sprite: Sprite, stuff: NDArray[np.int32], light: Light) -> None:
    """The silhouette laid flat on the ground, away from the light."""
    base = sprite.pose.y
    rings = []
    bodies = [ring for part in sprite.parts if part.kind == "body" for ring in part.rings]
    for points in sprite.pose.outline(bodies):
        up = base - points[:, 1]
        flat = [points[:, 0] - light[0] * 0.75 * up, base - 0.24 * up + 0.5]
        rings.append(np.stack(flat, axis=1))
    shape = fill(rings, SIZE)
    if shape.empty:
        return
    ground = (stuff[shape.window] != SKY) * _UNIT
    dark = soften(shape.values * ground, 3)
    canvas[shape.window] *= (1 - np.float32(0.33) * dark)[..., None]
