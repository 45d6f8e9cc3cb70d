"""Painting the stuff: sky with clouds, sea with waves, grass with tufts, road with lines."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import GRASS, ROAD, SEA, SIZE
from seglib.data.pocket.geometry import Points, ellipse, limb, polygon
from seglib.data.pocket.land import Land, Region
from seglib.data.pocket.palette import Color, Mood, color, mix
from seglib.data.pocket.raster import FULL, fill

Image = NDArray[np.float32]
_ROWS = np.arange(SIZE, dtype=np.float32)[:, None]
_WHITE, _BLACK = color("ffffff"), color("14141c")


def paint_land(chance: Chance, land: Land, mood: Mood) -> Image:
    """float32 [H, W, 3] in 0…1: the empty scenery."""
    canvas = _sky(chance, land.horizon, mood)
    zenith, haze = canvas[2, 64].copy(), canvas[int(land.horizon) - 1, 64].copy()
    bases = {
        GRASS: chance.pick(mood.grass),
        SEA: chance.pick(mood.sea),
        ROAD: chance.pick(mood.road),
    }
    for region in land.regions[1:]:
        base = _jitter(chance, bases[region.category])
        if region.category == SEA:
            area = _sea(chance, region, base, zenith, haze, mood)
        elif region.category == GRASS:
            area = _grass(chance, region, base, haze)
        else:
            area = _road(chance, region, base, haze, mood)
        blend(canvas, region.coverage.window, region.coverage.values, area[region.coverage.window])
    return canvas


def blend(
    canvas: Image, window: tuple[slice, slice], coverage: NDArray[np.int32], paint: Image | Color
) -> None:
    """Paint over a window of the canvas, in place."""
    share = coverage[..., None] * np.float32(1 / FULL)
    part = canvas[window]
    part += share * (paint - part)


@lru_cache(maxsize=8)
def noise(across: float, down: float) -> NDArray[np.float32]:
    """[H, W] smooth seamless noise of unit variance; a fixed tile that callers shift."""
    raw = np.random.Philox(key=np.array([7, int(across * 16 + down)], np.uint64)).random_raw(
        SIZE * SIZE
    )
    values = (raw >> np.uint64(40)).astype(np.float32).reshape(SIZE, SIZE)
    values = gaussian_filter(values, (down, across), mode="wrap")
    return ((values - values.mean()) / values.std()).astype(np.float32)


def shifted(chance: Chance, across: float, down: float) -> NDArray[np.float32]:
    """The noise tile from a random corner."""
    return np.roll(noise(across, down), (chance.integer(0, 127), chance.integer(0, 127)), (0, 1))


def _jitter(chance: Chance, base: Color) -> Color:
    other = color(chance.pick(("d08060", "6080c0", "70a080", "b0a070", "8070a0")))
    return np.clip(
        mix(base, other, chance.between(0, 0.18)) * chance.between(0.9, 1.1), 0, 1
    ).astype(np.float32)


def _sky(chance: Chance, horizon: float, mood: Mood) -> Image:
    top, low = chance.pick(mood.sky)
    share = np.clip(_ROWS / horizon, 0, 1)[..., None] ** np.float32(chance.between(0.7, 1.3))
    canvas = np.repeat(top + share * (low - top), SIZE, axis=1).astype(np.float32)
    x, y = chance.between(10, 118), chance.between(0.12, 0.85) * horizon
    if mood.stars:
        dots = [
            ellipse(chance.between(0, 128), chance.between(0, horizon), r, r, count=8)
            for r in [chance.between(0.35, 0.75) for _ in range(26)]
        ]
        _paint_rings(canvas, dots, mood.glow, 0.85)
    if chance.happens(0.7):
        r = chance.between(4, 9)
        grid_x = np.arange(SIZE, dtype=np.float32)[None, :]
        far = ((grid_x - x) ** 2 + (_ROWS - y) ** 2) / np.float32((5 * r) ** 2)
        canvas += (np.exp(-far) * np.float32(0.35))[..., None] * (mood.glow - canvas)
        _paint_rings(canvas, [ellipse(x, y, r, r)], mood.glow, 0.95)
        if mood.stars and chance.happens(0.6):
            _paint_rings(
                canvas,
                [ellipse(x + r * 0.45, y - r * 0.2, r * 0.85, r * 0.85)],
                canvas[min(127, int(y)), 0],
                0.9,
            )
    for _ in range(chance.integer(1, 4)):
        _cloud(chance, canvas, horizon, mood)
    return canvas


def _cloud(chance: Chance, canvas: Image, horizon: float, mood: Mood) -> None:
    x, y = chance.between(-5, 133), chance.between(0.05, 0.8) * horizon
    size = chance.between(4, 11) * (1.15 - 0.6 * y / horizon)
    puffs = []
    for i in range(chance.integer(3, 5)):
        r = size * chance.between(0.55, 1.0)
        puffs.append(ellipse(x + (i - 2) * size * 1.0, y - r * 0.45, r, r * 0.75, count=18))
    puffs.append(ellipse(x - size * 0.3, y, size * 2.6, size * 0.42, count=20))
    cover = fill(puffs, SIZE)
    if cover.empty:
        return
    height = cover.values.shape[0]
    under = canvas[cover.window].mean(axis=(0, 1))
    bright = mix(mood.glow, _WHITE, 0.35) if not mood.stars else mix(under, mood.glow, 0.35)
    share = (np.arange(height, dtype=np.float32) / max(1, height))[:, None, None]
    paint = bright + share * np.float32(0.55) * (under - bright)
    soft = (cover.values * np.float32(chance.between(0.6, 0.95))).astype(np.int32)
    blend(canvas, cover.window, soft, paint)


def _paint_rings(canvas: Image, rings: list[Points], paint: Color, strength: float) -> None:
    cover = fill(rings, SIZE)
    if not cover.empty:
        blend(canvas, cover.window, (cover.values * np.float32(strength)).astype(np.int32), paint)


def _depth(top: float) -> NDArray[np.float32]:
    """[H, 1] 0 at the region's own horizon, 1 at the bottom of the image."""
    return np.clip((_ROWS - np.float32(top)) / np.float32(SIZE - top), 0, 1)


def _sea(
    chance: Chance, region: Region, base: Color, zenith: Color, haze: Color, mood: Mood
) -> Image:
    depth = _depth(region.top)
    far, near = mix(base, haze, 0.5), mix(base, zenith, 0.15) * np.float32(0.85)
    area = far + np.sqrt(depth)[..., None] * (near - far)
    # Crests follow the logarithm of the depth, so they crowd together towards the horizon.
    phase = np.float32(chance.between(17, 24)) * np.log(depth + np.float32(0.09))
    wobble = shifted(chance, 9.0, 1.5)
    crest = np.sin(phase + np.float32(1.7) * wobble)
    broken = shifted(chance, 5.0, 0.9)
    light = np.clip(crest * 3 - 1.9 + broken, 0, 1) * np.float32(0.5)
    dark = np.clip(-crest * 2 - 1.2 + broken, 0, 1) * np.float32(0.22)
    glint = mix(mood.glow, haze, 0.4)
    area = area + light[..., None] * (glint - area)
    return (
        area + dark[..., None] * (_BLACK * np.float32(0.6) + base * np.float32(0.3) - area)
    ).astype(np.float32)


def _grass(chance: Chance, region: Region, base: Color, haze: Color) -> Image:
    depth = _depth(region.top)
    far = mix(mix(base, haze, 0.25 + 0.4 * region.distance), _WHITE, 0.05)
    near = base * np.float32(0.8)
    area = far + depth[..., None] * (near - far)
    area = (
        area
        * (
            1
            + np.float32(0.035) * shifted(chance, 14.0, 5.0)
            + np.float32(0.05) * depth * shifted(chance, 0.6, 2.0)
        )[..., None]
    )
    area = area.astype(np.float32)
    for share, count in ((_WHITE, 26), (_BLACK, 26)):
        _paint_rings(area, _tufts(chance, region, count), mix(base, share, 0.28), 0.7)
    if chance.happens(0.5):
        dots = []
        for _ in range(chance.integer(8, 18)):
            t = chance.unit()
            y = region.top + 6 + t * (SIZE - region.top - 6)
            r = 0.5 + 0.9 * t
            dots.append(ellipse(chance.between(0, 128), y, r, r * 0.8, count=8))
        _paint_rings(
            area, dots, color(chance.pick(("fff4d6", "f7c8d0", "f6d860", "e98a6a", "cdb6f0"))), 0.9
        )
    return area


def _tufts(chance: Chance, region: Region, count: int) -> list[Points]:
    """Small fans of three blades, larger towards the viewer."""
    rings = []
    for _ in range(count):
        t = chance.unit()
        x, y = chance.between(0, 128), region.top + 5 + t * (SIZE - region.top)
        tall = 1.2 + 4.2 * t
        for lean in (-0.5, 0.05, 0.55):
            rings.append(
                polygon((x - tall * 0.13, y), (x + lean * tall, y - tall), (x + tall * 0.13, y))
            )
    return rings


def _road(chance: Chance, region: Region, base: Color, haze: Color, mood: Mood) -> Image:
    depth = _depth(region.top)
    far, near = mix(base, haze, 0.35), base * np.float32(0.92)
    area = far + depth[..., None] * (near - far)
    grain = shifted(chance, 0.7, 0.7)
    speck = np.float32(0.05) * grain * (np.float32(0.3) + depth) + np.float32(0.03) * shifted(
        chance, 14.0, 5.0
    )
    area = (area * (1 + speck)[..., None]).astype(np.float32)
    line = color(chance.pick(("fdf8ea", "fdf8ea", "f4cf62")))
    line = mix(line, base, 0.15 if not mood.stars else 0.4)
    _paint_rings(area, region.marks, line, 0.9)
    return area


def soften(mask: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """Two box blurs: a cheap soft edge."""
    return uniform_filter(uniform_filter(mask, reach, mode="constant"), reach, mode="constant")


def light_direction(chance: Chance) -> tuple[float, float]:
    """Unit vector (x, y) towards the light; always from above."""
    angle = chance.between(-2.5, -0.65)
    return math.cos(angle), math.sin(angle)


__all__ = ["Image", "blend", "light_direction", "limb", "noise", "paint_land", "shifted", "soften"]
