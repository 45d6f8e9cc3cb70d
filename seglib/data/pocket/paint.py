"""Painting objects: colours, relief, soft light, contact and cast shadows."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE, SKY
from seglib.data.pocket.palette import Coat, Color, mix
from seglib.data.pocket.raster import FULL, Window, bounds, fill, fill_layers, is_empty
from seglib.data.pocket.shapes import Part
from seglib.data.pocket.sprite import Sprite, as_rings
from seglib.data.pocket.texture import Float, Image, noise, soften

Light = tuple[float, float]
"""Unit vector (x, y) towards the light."""

_UNIT = np.float32(1 / FULL)


def light_direction(chance: Chance) -> Light:
    """Where the light of a scene comes from; always from above."""
    angle = chance.between(-2.5, -0.65)
    return math.cos(angle), math.sin(angle)


def paint_sprite(canvas: Image, sprite: Sprite, coat: Coat, light: Light, tint: Color) -> None:
    """Paint one object over the canvas, in place."""
    shape = sprite.silhouette
    if shape.empty:
        return
    cover = shape.values * _UNIT
    paint = np.empty((*cover.shape, 3), np.float32)
    paint[:] = coat["main"]
    _paint_parts(paint, sprite, coat, light)
    _shade(paint, cover, light, sprite)
    paint *= mix(np.ones(3, np.float32), tint, 0.6)
    part_of_canvas = canvas[shape.window]
    part_of_canvas += cover[..., None] * (paint - part_of_canvas)


def _paint_parts(paint: Image, sprite: Sprite, coat: Coat, light: Light) -> None:
    """Paint the parts back to front into the sprite's own window."""
    parts = [part for part in sprite.parts if part.kind != "hole"]
    left, top, _, _ = sprite.silhouette.bounds
    for part, (x0, y0, x1, y1), cover in _part_covers(sprite, parts):
        columns, rows = np.flatnonzero(cover.any(axis=0)), np.flatnonzero(cover.any(axis=1))
        if not len(rows):
            continue
        inner = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        window = (slice(y0 - top, y1 - top), slice(x0 - left, x1 - left))
        tone = coat[part.tone] * np.float32(part.light)
        _paint_part(paint[window][inner], cover[inner], tone, part.relief, light)


def _part_covers(sprite: Sprite, parts: list[Part]) -> Iterator[tuple[Part, Window, Float]]:
    """Each part that shows, its window in the image, its coverage 0…1 there."""
    outlines = iter(sprite.pose.outline([ring for part in parts for ring in part.rings]))
    layers = [[next(outlines) for _ in part.rings] for part in parts]
    found = zip(parts, layers, bounds(layers, sprite.silhouette.bounds), strict=True)
    shown = [(part, rings, window) for part, rings, window in found if not is_empty(window)]
    clipped = [(part.within, window) for part, _, window in shown if part.within is not None]
    limits = [sprite.pose.outline(within.rings) for within, _ in clipped]
    covers = fill_layers(
        [*(rings for _, rings, _ in shown), *limits],
        [*(window for _, _, window in shown), *(window for _, window in clipped)],
    )
    limit_covers = iter(covers[len(shown) :])
    for (part, _, window), cover in zip(shown, covers, strict=False):
        share = cover * _UNIT
        yield part, window, share if part.within is None else share * (next(limit_covers) * _UNIT)


def _paint_part(paint: Image, cover: Float, tone: Color, relief: float, light: Light) -> None:
    """Lighter above and on the edge that faces the light, darker on the other."""
    height, width = cover.shape
    fall = np.linspace(0.07, -0.09, height, dtype=np.float32)[:, None]
    dx, dy = round(light[0] * 1.2), round(light[1] * 1.2)
    around = np.zeros((height + 2, width + 2), np.float32)
    around[1:-1, 1:-1] = cover
    edge = cover - around[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
    factor = np.float32(relief) * (fall + np.float32(0.22) * edge) + np.float32(1)
    paint += cover[..., None] * (tone * factor[..., None] - paint)


def _shade(paint: Image, cover: Float, light: Light, sprite: Sprite) -> None:
    """Round the whole object off: a lit side, a shaded side, a darker outline, some grain."""
    height, width = cover.shape
    reach = max(3, round(0.16 * sprite.full_area**0.5))
    pad = reach + 1
    padded = np.zeros((height + 2 * pad, width + 2 * pad), np.float32)
    inner = (slice(pad, pad + height), slice(pad, pad + width))
    padded[inner] = cover
    slopes: list[Float] = list(np.gradient(soften(padded, reach)))  # down, across
    toward = slopes[1][inner] * np.float32(light[0]) + slopes[0][inner] * np.float32(light[1])
    lit: Float = -toward
    lit = np.minimum(np.maximum(lit * np.float32(1.1 * reach), -0.34), 0.3)
    rim: Float = np.float32(1.45) - np.float32(1.7) * soften(padded, 3)[inner]
    rim = np.minimum(np.maximum(rim, 0), 1)
    grain = np.float32(0.015) * noise(0.8, 0.8)[sprite.silhouette.window]
    paint *= (1 + lit - np.float32(0.38) * rim + grain)[..., None]


def cast_shadow(canvas: Image, sprite: Sprite, stuff: NDArray[np.int32], light: Light) -> None:
    """Darken the ground behind a standing object, and softly all that it hangs over."""
    if SKY not in sprite.kind.surfaces:
        _ground_shadow(canvas, sprite, stuff, light)
    x0, y0, x1, y1 = sprite.silhouette.bounds
    if sprite.silhouette.empty:
        return
    # The silhouette moved by (dx, 1) and blurred, in a window with room for the blur.
    dx, room = -round(2.0 * light[0]), 6
    drop = np.zeros((y1 - y0 + 2 * room, x1 - x0 + 2 * room), np.float32)
    drop[room + 1 : 1 - room or None, room + dx : dx - room or None] = (
        sprite.silhouette.values * _UNIT
    )
    dark = np.float32(0.22) * soften(drop, 4)
    left, top = x0 - room, y0 - room
    cx, cy = max(0, -left), max(0, -top)
    target = canvas[top + cy : y1 + room, left + cx : x1 + room]
    target *= (1 - dark[cy : cy + target.shape[0], cx : cx + target.shape[1]])[..., None]


def _ground_shadow(canvas: Image, sprite: Sprite, stuff: NDArray[np.int32], light: Light) -> None:
    """The silhouette laid flat on the ground, away from the light."""
    bodies = [ring for part in sprite.parts if part.kind == "body" for ring in part.rings]
    points = sprite.pose(np.concatenate(bodies))
    up = sprite.pose.y - points[:, 1]
    points[:, 0] -= light[0] * 0.75 * up
    points[:, 1] = sprite.pose.y - 0.24 * up + 0.5
    shape = fill(as_rings(points, bodies), SIZE)
    if shape.empty:
        return
    ground = (stuff[shape.window] != SKY) * _UNIT
    dark = np.float32(0.33) * soften(shape.values * ground, 3)
    target = canvas[shape.window]
    target *= (1 - dark)[..., None]
