"""Paint the ground below the sky: sea with waves, grass with tufts, road with lines."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import GRASS, ROAD, SEA, SIZE
from seglib.data.pocket.geometry import ellipse
from seglib.data.pocket.land import Land, Region
from seglib.data.pocket.palette import Color, Mood, color, colors, mix
from seglib.data.pocket.raster import Points, fill_each
from seglib.data.pocket.sky import paint_sky
from seglib.data.pocket.texture import (
    Float,
    Image,
    as_image,
    blend,
    blend_cover,
    blend_rings,
    random_noise,
)

_WHITE, _BLACK = color("ffffff"), color("14141c")
_DRIFTS = colors("d08060 6080c0 70a080 b0a070 8070a0")
_FLOWERS = colors("fff4d6 f7c8d0 f6d860 e98a6a cdb6f0")
_LINES = colors("fdf8ea fdf8ea f4cf62")
_LEAN = np.array([-0.5, 0.05, 0.55])
"""Lean of the three blades of a tuft, as a share of their height."""


def paint_land(chance: Chance, land: Land, mood: Mood) -> Image:
    """The scenery without objects, float32 [3, H, W] in 0…1."""
    canvas = paint_sky(chance, land.horizon, mood)
    zenith, haze = canvas[:, 2, 64].copy(), canvas[:, int(land.horizon) - 1, 64].copy()
    bases = {
        GRASS: _drift(chance, chance.pick(mood.grass)),
        SEA: _drift(chance, chance.pick(mood.sea)),
        ROAD: _drift(chance, chance.pick(mood.road)),
    }
    for region in land.regions:
        base = bases[region.category]
        if region.category == SEA:
            _paint_sea(chance, canvas, region, base, zenith, haze, mood)
        elif region.category == GRASS:
            _paint_grass(chance, canvas, region, base, haze)
        else:
            _paint_road(chance, canvas, region, base, haze, mood)
    return canvas


def _drift(chance: Chance, base: Color) -> Color:
    """The same colour a little warmer or cooler, lighter or darker."""
    moved = mix(base, chance.pick(_DRIFTS), chance.between(0, 0.18)) * chance.between(0.9, 1.1)
    return np.minimum(moved, 1).astype(np.float32)


def _depth(region: Region) -> Float:
    """[h, 1] for the rows of the region's window: 0 at its own horizon, 1 at the bottom."""
    _, y0, _, y1 = region.coverage.bounds
    rows = np.arange(y0, y1, dtype=np.float32)[:, None]
    return np.maximum((rows - np.float32(region.top)) / np.float32(SIZE - region.top), 0)


def _ramp(far: Color, near: Color, depth: Float) -> Image:
    """[3, h, 1] from one colour to the other."""
    return as_image(far) + depth * as_image(near - far)


def _in_window(region: Region, texture: Float) -> Float:
    """The columns of the region's window."""
    x0, _, x1, _ = region.coverage.bounds
    return texture[:, x0:x1]


def _paint_sea(
    chance: Chance,
    canvas: Image,
    region: Region,
    base: Color,
    zenith: Color,
    haze: Color,
    mood: Mood,
) -> None:
    depth = _depth(region)
    near = mix(base, zenith, 0.15) * np.float32(0.85)
    area = _ramp(mix(base, haze, 0.5), near, np.sqrt(depth))
    # Crests are spaced in the logarithm of the depth, so they are denser towards the horizon.
    phase = np.float32(chance.between(17, 24)) * np.log(depth + np.float32(0.09))
    wobble = _in_window(region, random_noise(chance, 9.0, 1.5, len(depth)))
    broken = _in_window(region, random_noise(chance, 5.0, 0.9, len(depth)))
    crest = np.sin(phase + np.float32(1.7) * wobble)
    light = np.minimum(np.maximum(crest * 3 - 1.9 + broken, 0), 1) * np.float32(0.5)
    dark = np.minimum(np.maximum(crest * -2 - 1.2 + broken, 0), 1) * np.float32(0.22)
    area = area + light * (as_image(mix(mood.glow, haze, 0.4)) - area)
    trough = _BLACK * np.float32(0.6) + base * np.float32(0.3)
    blend(canvas, region.coverage, area + dark * (as_image(trough) - area))


def _paint_grass(chance: Chance, canvas: Image, region: Region, base: Color, haze: Color) -> None:
    depth = _depth(region)
    far = mix(mix(base, haze, 0.25 + 0.4 * region.distance), _WHITE, 0.05)
    area = _ramp(far, base * np.float32(0.8), depth)
    swathes = _in_window(region, random_noise(chance, 14.0, 5.0, len(depth)))
    blades = _in_window(region, random_noise(chance, 0.6, 2.0, len(depth)))
    light = np.float32(0.035) * swathes + np.float32(0.055) * depth * blades
    blend(canvas, region.coverage, area * (1 + light))
    within = np.zeros((SIZE, SIZE), np.int16)
    within[region.coverage.window] = region.coverage.values
    layers = [_tufts(chance, region, 22) for _ in (_WHITE, _BLACK)]
    paints = [(mix(base, tone, 0.28), 0.7) for tone in (_WHITE, _BLACK)]
    if chance.happens(0.5):
        layers.append(_flowers(chance, region))
        paints.append((chance.pick(_FLOWERS), 0.9))
    for cover, (paint, strength) in zip(fill_each(layers, SIZE), paints, strict=True):
        blend_cover(canvas, cover, paint, strength, within)


def _tufts(chance: Chance, region: Region, count: int) -> list[Points]:
    """Small fans of three blades, larger towards the viewer."""
    chosen = [(chance.unit(), chance.between(0, SIZE)) for _ in range(count)]
    t, x = np.array(chosen).T[:, :, None]
    y = region.top + 5 + t * (SIZE - region.top)
    tall = 1.2 + 4.2 * t * (1 - 0.6 * region.distance)
    half_width = tall * 0.13
    blades = np.empty((count, 3, 3, 2))  # tuft, blade, corner, x and y
    blades[:, :, 0, 0], blades[:, :, 1, 0], blades[:, :, 2, 0] = (
        x - half_width,
        x + _LEAN * tall,
        x + half_width,
    )
    blades[:, :, 0, 1], blades[:, :, 1, 1], blades[:, :, 2, 1] = y, y - tall, y
    return list(blades.reshape(-1, 3, 2))


def _flowers(chance: Chance, region: Region) -> list[Points]:
    dots = []
    for _ in range(chance.integer(8, 18)):
        t = chance.unit()
        x, y = chance.between(0, SIZE), region.top + 6 + t * (SIZE - region.top - 6)
        r = 0.5 + 0.9 * t
        dots.append(ellipse(x, y, r, r * 0.8, count=8))
    return dots


def _paint_road(
    chance: Chance, canvas: Image, region: Region, base: Color, haze: Color, mood: Mood
) -> None:
    depth = _depth(region)
    area = _ramp(mix(base, haze, 0.35), base * np.float32(0.92), depth)
    grain = _in_window(region, random_noise(chance, 0.7, 0.7, len(depth)))
    stains = _in_window(region, random_noise(chance, 14.0, 5.0, len(depth)))
    light = np.float32(0.05) * grain * (np.float32(0.3) + depth) + np.float32(0.03) * stains
    blend(canvas, region.coverage, area * (1 + light))
    line = mix(chance.pick(_LINES), base, 0.4 if mood.stars else 0.15)
    within: NDArray[np.int16] = np.zeros((SIZE, SIZE), np.int16)
    within[region.coverage.window] = region.coverage.values
    blend_rings(canvas, region.marks, line, 0.9, within)
