"""Tools for painting: blending, noise, blur."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, uniform_filter1d

from seglib.data.pocket.chance import Chance
from seglib.data.pocket.classes import SIZE
from seglib.data.pocket.palette import Color
from seglib.data.pocket.raster import FULL, Coverage, Points, fill

Float = NDArray[np.float32]
Image = Float
"""float32 [3, H, W] in 0…1, RGB; channels come first because NumPy is faster along rows."""


def as_image(paint: Color) -> Image:
    """A colour [3] as an image [3, 1, 1]."""
    return paint[:, None, None]


def blend(canvas: Image, cover: Coverage, paint: Image, strength: float = 1.0) -> None:
    """Paint the covered pixels in place; `paint` is an image of the window."""
    share = cover.values * np.float32(strength / FULL)
    part = canvas[:, *cover.window]
    part += share * (paint - part)


def blend_rings(
    canvas: Image,
    rings: Sequence[Points],
    paint: Color,
    strength: float,
    within: NDArray[np.int16] | None = None,
) -> None:
    """Paint polygons in one colour, in place, limited to the coverage `within` [H, W]."""
    blend_cover(canvas, fill(rings, SIZE), paint, strength, within)


def blend_cover(
    canvas: Image,
    cover: Coverage,
    paint: Color,
    strength: float,
    within: NDArray[np.int16] | None = None,
) -> None:
    """Paint the covered pixels in one colour, in place, limited to the coverage `within` [H, W]."""
    if cover.empty:
        return
    if within is not None:
        both = np.multiply(cover.values, within[cover.window], dtype=np.int32)
        cover.values = (both // FULL).astype(np.int16)
    blend(canvas, cover, as_image(paint), strength)


@lru_cache(maxsize=8)
def noise(across: float, down: float) -> Float:
    """[2H, 2W] smooth noise of unit variance: a fixed seamless tile, repeated."""
    key = np.array([7, int(across * 16 + down)], np.uint64)
    raw = np.random.Philox(key=key).random_raw(SIZE * SIZE)
    values = (raw >> np.uint64(40)).astype(np.float32).reshape(SIZE, SIZE)
    values = gaussian_filter(values, (down, across), mode="wrap")
    tile: Float = ((values - values.mean()) / values.std()).astype(np.float32)
    return np.tile(tile, (2, 2))


def random_noise(chance: Chance, across: float, down: float, rows: int = SIZE) -> Float:
    """[rows, W] of `noise`, cropped at a random position."""
    y, x = chance.integer(0, SIZE - 1), chance.integer(0, SIZE - 1)
    return noise(across, down)[y : y + rows, x : x + SIZE]


def soften(mask: Float, reach: int) -> Float:
    """Blur twice with a box filter, which softens an edge cheaply."""
    soft: Float = uniform_filter1d(mask, reach, 0, mode="constant")
    for axis in (1, 0, 1):
        uniform_filter1d(soft, reach, axis, soft, mode="constant")
    return soft
