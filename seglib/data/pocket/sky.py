"""Paint the sky: gradient, sun or moon, stars, clouds."""

from __future__ import annotations

import numpy as np

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE
from seglib.data.pocket.geometry import ellipse
from seglib.data.pocket.palette import Color, Mood, color, mix
from seglib.data.pocket.raster import Coverage, Points, fill_each
from seglib.data.pocket.texture import Image, as_image, blend, blend_rings

_WHITE = color("ffffff")


def paint_sky(chance: Chance, horizon: float, mood: Mood) -> Image:
    """float32 [3, H, W]; below the horizon the last colour of the gradient continues."""
    top, low = chance.pick(mood.sky)
    rows = np.arange(SIZE, dtype=np.float32)
    share = np.minimum(rows / np.float32(horizon), 1) ** np.float32(chance.between(0.7, 1.3))
    column = as_image(top) + share[:, None] * as_image(low - top)
    canvas = np.repeat(column.astype(np.float32), SIZE, axis=2)
    if mood.stars:
        radii = [chance.between(0.4, 0.85) for _ in range(34)]
        dots = [
            ellipse(chance.between(0, SIZE), chance.between(0, horizon), r, r, count=8)
            for r in radii
        ]
        blend_rings(canvas, dots, mood.glow, 0.85)
    if chance.happens(0.7):
        _sun(chance, canvas, horizon, mood)
    clouds = [_cloud(chance, horizon) for _ in range(chance.integer(1, 4))]
    covers = fill_each([puffs for puffs, _ in clouds], SIZE)
    for cover, (_, strength) in zip(covers, clouds, strict=True):
        _paint_cloud(canvas, cover, mood, strength)
    return canvas


def _sun(chance: Chance, canvas: Image, horizon: float, mood: Mood) -> None:
    """A disc with a glow; at night sometimes a crescent."""
    x, y = chance.between(10, 118), chance.between(0.12, 0.85) * horizon
    r = chance.between(4, 9)
    behind = canvas[:, min(SIZE - 1, int(y)), 0].copy()
    grid = np.arange(SIZE, dtype=np.float32)
    far_x, far_y = ((grid - np.float32(at)) ** 2 / np.float32((5 * r) ** 2) for at in (x, y))
    glow = np.float32(0.35) * np.exp(-far_y)[:, None] * np.exp(-far_x)
    canvas += glow * (as_image(mood.glow) - canvas)
    blend_rings(canvas, [ellipse(x, y, r, r)], mood.glow, 0.95)
    if mood.stars and chance.happens(0.6):
        shade = ellipse(x + r * 0.45, y - r * 0.2, r * 0.85, r * 0.85)
        blend_rings(canvas, [shade], behind, 0.9)


def _cloud(chance: Chance, horizon: float) -> tuple[list[Points], float]:
    """Puffs on a flat base, smaller towards the horizon, and their opacity."""
    x, y = chance.between(-5, SIZE + 5), chance.between(0.05, 0.8) * horizon
    size = chance.between(4, 11) * (1.15 - 0.6 * y / horizon)
    puffs = [ellipse(x - size * 0.3, y, size * 2.6, size * 0.42, count=20)]
    for i in range(chance.integer(3, 5)):
        r = size * chance.between(0.55, 1.0)
        puffs.append(ellipse(x + (i - 2) * size, y - r * 0.45, r, r * 0.75, count=18))
    return puffs, chance.between(0.6, 0.95)


def _paint_cloud(canvas: Image, cover: Coverage, mood: Mood, strength: float) -> None:
    """Paint a bright cloud that fades downwards."""
    height = cover.values.shape[0]
    under = _mean(canvas[:, *cover.window])
    bright = mix(under, mood.glow, 0.35) if mood.stars else mix(mood.glow, _WHITE, 0.35)
    fade = (np.arange(height, dtype=np.float32) / height)[:, None] * np.float32(0.55)
    paint = as_image(bright) + fade * as_image(under - bright)
    blend(canvas, cover, paint, strength)


def _mean(part: Image) -> Color:
    """The mean colour, summed pixel after pixel, since another order would round differently."""
    mean: Color = np.ascontiguousarray(np.moveaxis(part, 0, -1)).mean(axis=(0, 1))
    return mean
