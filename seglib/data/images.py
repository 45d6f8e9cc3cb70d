"""Read image files of any kind as RGB bytes; errors name the file."""

from __future__ import annotations

import functools
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from seglib.errors import SeglibError

_EXIF_ORIENTATION = 0x0112
# Recognised by content, not by suffix. Pillow's other formats start programs (EPS), are not meant
# for photographs, or have decoders that are rarely tested.
FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "JPEG2000", "PPM")
# The suffixes of photographs. Some formats of phones and cameras need a package that seglib lacks.
SUFFIXES = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".tif", ".tiff", ".bmp", ".gif",
    ".jp2", ".ppm", ".pgm",
}  # fmt: skip
UNREAD_SUFFIXES = {".heic", ".heif", ".dng", ".cr2", ".nef", ".arw", ".raw"}


def is_companion(path: Path) -> bool:
    """Whether a file merely accompanies a photograph: a hidden file, such as macOS's "._a.jpg"."""
    return path.name.startswith(".")


def read_image(path: Path, size: tuple[int, int] | None = None) -> Tensor:
    """Read a photograph of any kind as RGB, including grey, CMYK, palette and 16-bit files.

    A camera held upright may store its picture sideways and record the rotation in EXIF.
    Annotations may refer to either version, and only the size shows to which: the stored pixels are
    used if they have the size `size`, otherwise those of the rotated picture. Without `size`, the
    picture is rotated as EXIF prescribes.

    Args:
        path: a file that Pillow can read.
        size: the image's (H, W) according to its annotations.

    Returns:
        uint8 [3, H, W].

    Raises:
        SeglibError: the file is missing, unreadable or truncated, or has another size.
    """
    image = open_image(path)
    if size is None or (image.size != size[::-1] and _is_sideways(image)):
        image = _upright(image)
    if size is not None and image.size != size[::-1]:
        raise SeglibError(
            f"{path} is {image.width} x {image.height} px, but its annotations are for "
            f"{size[1]} x {size[0]}: use the original image, or correct 'width' and 'height'"
        )
    return torch.from_numpy(_rgb(image)).permute(2, 0, 1).contiguous()


def upright_size(path: Path) -> tuple[int, int]:
    """(H, W) of a picture as `read_image` returns it; raises as that does."""
    image = open_image(path)
    return image.size if _is_sideways(image) else image.size[::-1]


def read_segment_ids(path: Path, size: tuple[int, int]) -> Tensor:
    """Read a COCO panoptic PNG: the segment id of every pixel, R + 256 G + 256² B.

    Returns:
        int32 [H, W], 0 where nothing is labelled.

    Raises:
        SeglibError: the file is missing or unreadable, or has another size.
    """
    image = open_image(path)
    if image.size != size[::-1]:
        raise SeglibError(
            f"{path} is {image.width} x {image.height} px, but its image is {size[1]} x {size[0]} "
            "px: use the panoptic map made for this image"
        )
    digits = torch.from_numpy(_rgb(image)).int()  # [H, W, 3]
    return digits[..., 0] + 256 * digits[..., 1] + 65536 * digits[..., 2]


def open_image(path: Path) -> Image.Image:
    """Open and decode, so that a truncated file is noticed here.

    Raises:
        SeglibError: the file is missing or damaged, or has a format other than `FORMATS`.
    """
    if not path.is_file():
        raise SeglibError(f"{path} is missing: put the image there or remove it from annotations")
    if path.suffix.lower() in UNREAD_SUFFIXES:
        raise SeglibError(
            f"{path} is in a format that seglib does not read: save it as JPEG or PNG"
        )
    try:
        with warnings.catch_warnings():  # about sizes and EXIF; what matters raises an error
            warnings.simplefilter("ignore")
            with Image.open(path, formats=_formats()) as image:
                image.load()
                return image
    except UnidentifiedImageError as error:
        raise SeglibError(
            f"cannot read {path}, which is damaged or in none of the formats {', '.join(FORMATS)}: "
            "replace it by an intact file"
        ) from error
    except MemoryError as error:
        raise SeglibError(f"cannot read {path}: it does not fit into memory") from error
    except Exception as error:  # on damaged bytes, decoders may raise anything
        reason = str(error) or type(error).__name__
        raise SeglibError(f"cannot read {path} ({reason}): replace it by an intact file") from error


@functools.cache
def _formats() -> list[str]:
    """Those of `FORMATS` that this Pillow was built with."""
    Image.init()
    return [name for name in FORMATS if name in Image.OPEN]


def _upright(image: Image.Image) -> Image.Image:
    """The image rotated as its EXIF data prescribe, or as stored if they are damaged."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # on damaged bytes, Pillow's EXIF reader may raise anything
        return image


def _is_sideways(image: Image.Image) -> bool:
    """Whether EXIF asks for a rotation by 90 degrees."""
    try:
        return image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception:  # see `_upright`
        return False


def _rgb(image: Image.Image) -> NDArray[np.uint8]:
    """uint8 [H, W, 3]; of 16-bit grey the upper byte, where Pillow would clip at 255."""
    if image.mode.startswith("I"):
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.array(image.convert("RGB"))
