"""Tint pixels and erode and dilate masks, fast even on photographs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Bits = NDArray[np.bool_]
RGB = tuple[int, int, int]

STRIP = 256  # rows


def row_strips(height: int) -> Iterator[slice]:
    """The rows of an image in strips: a photograph's pixels as floats would fill gigabytes."""
    return (slice(first, first + STRIP) for first in range(0, height, STRIP))


def tint(pixels: Bytes, bits: Bits, color: RGB, alpha: float) -> None:
    """Mix a colour into the pixels [H, W, 3] of a mask [H, W], in place."""
    shades = np.arange(256)[:, None] * (1 - alpha) + np.array(color) * alpha  # [256, 3]
    tinted = shades.round().astype(np.uint8)
    for rows in row_strips(len(bits)):
        chosen, strip = bits[rows], pixels[rows]
        values = strip[chosen]  # [n, 3]
        for channel in range(3):
            values[:, channel] = tinted[:, channel][values[:, channel]]
        strip[chosen] = values


def eroded(bits: Bits, radius: int) -> Bits:
    """The pixels of a mask that are more than `radius` steps from every pixel outside it.

    Steps run along rows and columns, so k steps reach a diamond. A diamond moved by k along each
    axis covers that of 2 k, so that even a photograph's broad outlines need few erosions. Pixels
    outside the image count as inside the mask.
    """
    done = 0
    while done < radius:
        step = min(max(done, 1), radius - done)
        bits = with_neighbours(bits, step, np.logical_and)
        done += step
    return bits


def with_neighbours(bits: Bits, step: int, combine: np.ufunc) -> Bits:
    """Every pixel combined with those `step` to its left and right, above and below."""
    result = bits.copy()
    for mixed, source in ((result, bits), (result.T, bits.T)):
        combine(mixed[step:], source[:-step], out=mixed[step:])
        combine(mixed[:-step], source[step:], out=mixed[:-step])
    return result


def occupied(bits: Bits, margin: int) -> tuple[slice, slice]:
    """The smallest part of a mask that contains all its pixels, with a margin inside the image."""
    parts = []
    for used in (bits.any(axis=1), bits.any(axis=0)):
        places = np.flatnonzero(used)
        first, last = (places[0], places[-1]) if len(places) else (0, -1)
        parts.append(slice(max(0, first - margin), last + 1 + margin))
    return parts[0], parts[1]
