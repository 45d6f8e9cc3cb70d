"""Images as small PNG files, since a notebook contains dozens of them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]
Shade = tuple[int, int, int]  # red, green, blue in 0…255
WHITE: Shade = (255, 255, 255)
DRAWING = 4096  # an image with at most this many colours is a drawing, not a photograph
EXACT = 48  # number of a drawing's most frequent colours, which fill areas and are kept exactly
EVEN = 0.92  # of a chart, the most frequent colours fill more than this
SAMPLED = 3  # of a photograph's rows and columns, every third is enough to choose its colours
SHADED = 0.02  # a drawing of which the other greys fill more than this contains a picture in grey,
LEVELS = 100  # of whose greys it keeps at most so many
TOLERANCE = 20  # of 255: a difference per channel that is invisible at the edges of letters


def encode_png(pixels: Bytes, colors: int | None = None, kept: Sequence[Shade] = ()) -> bytes:
    """PNG bytes of uint8 [H, W, 3], reduced to `colors` colours if given, `kept` among them.

    Without `colors`, a drawing is reduced to 256 colours if no difference is visible: most of its
    colours are shades at the edges of letters, and the file becomes a third as large. An image
    in grey keeps all its levels.
    """
    image = Image.fromarray(pixels)
    if _is_grey(pixels).all():
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0]))
    elif colors is not None:
        image = _reduce(pixels, colors, [WHITE, *kept])
    elif image.getcolors(DRAWING) is not None:
        image = _as_drawing(pixels) or image
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def pack_png(pixels: Bytes) -> bytes:
    """PNG bytes of uint8 [H, W, 3] in a tenth of the time, in a file larger by a fifth or more."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def is_chart(pixels: Bytes) -> bool:
    """Whether uint8 [H, W, 3] consists of even areas and thin lines, without a photograph."""
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    counts = np.sort(np.unique(packed, return_counts=True)[1])
    return bool(counts[-EXACT:].sum() > EVEN * counts.sum())


def _is_grey(shades: Bytes) -> NDArray[np.bool_]:
    """Whether each colour [..., 3] is a grey: bool [...]."""
    return (shades == shades[..., :1]).all(-1)


def _as_drawing(pixels: Bytes) -> Image.Image | None:
    """A drawing in 256 colours with its areas unchanged; None if a difference would be visible."""
    packed = pixels.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, places, counts = np.unique(packed, return_inverse=True, return_counts=True)
    shades = np.stack([found >> 16, found >> 8 & 255, found & 255], 1).astype(np.uint8)  # [N, 3]
    order = np.argsort(-counts, kind="stable")
    exact, rare = np.split(order, [256 if len(order) <= 256 else EXACT])
    is_grey = _is_grey(shades[rare])
    shaded = counts[rare[is_grey]].sum() > SHADED * counts.sum()
    levels = shades[rare[is_grey]] if shaded else shades[:0]
    rims = shades[rare[~is_grey]] if shaded else shades[rare]
    palette = _palette(shades[exact], levels, rims)
    gaps = np.abs(shades[:, None].astype(np.int16) - palette).max(2)  # [N, 256]
    if shaded:  # a picture in grey contains no colours that are nearly grey
        gaps[np.ix_(_is_grey(shades), ~_is_grey(palette))] = 255
    if gaps.min(1).max() > TOLERANCE:
        return None
    result = Image.fromarray(gaps.argmin(1)[places].reshape(packed.shape).astype(np.uint8))
    result.putpalette(palette.ravel().tolist())
    return result


def _palette(exact: Bytes, levels: Bytes, rims: Bytes) -> Bytes:
    """At most 256 colours [P, 3]: the exact ones, about `LEVELS` of the greys, and mixed ones."""
    levels = np.sort(levels, axis=0)[:: max(1, -(-len(levels) // LEVELS))]
    palette = np.concatenate([exact, levels])
    if len(rims):
        free = 256 - len(palette)
        mixed = Image.fromarray(rims[None]).quantize(free, Image.Quantize.FASTOCTREE)
        shades = np.array(mixed.getpalette(), np.uint8).reshape(-1, 3)[:free]
        palette = np.concatenate([palette, shades])
    return palette


def _reduce(pixels: Bytes, colors: int, kept: Sequence[Shade]) -> Image.Image:
    """Fewer colours; pixels in one of the `kept` colours are not changed.

    Dithering would put a pattern on the even areas of a picture and nearly double the file.
    """
    free = colors - len(kept)
    sample = Image.fromarray(np.ascontiguousarray(pixels[::SAMPLED, ::SAMPLED]))
    shades = sample.quantize(free, method=Image.Quantize.MEDIANCUT, kmeans=1)
    image = Image.fromarray(pixels)
    indices = np.array(image.quantize(palette=shades, dither=Image.Dither.NONE))
    for place, shade in enumerate(kept, start=free):
        indices[(pixels == shade).all(-1)] = place
    palette = list(shades.getpalette() or [])[: 3 * free]
    palette += [0] * (3 * free - len(palette)) + [value for shade in kept for value in shade]
    result = Image.fromarray(indices)
    result.putpalette(palette)
    return result
