"""Pictures from anywhere: read, or refused in one line."""

from __future__ import annotations

import io
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seglib import SeglibError
from seglib.data.images import FORMATS, read_image
from seglib.plotting.canvas import as_rgb

PICTURE = Image.fromarray(
    np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8), "RGB"
)


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    PICTURE.save(stream, format=kind, **options)
    return stream.getvalue()


def test_every_format_of_the_list_is_read(tmp_path: Path) -> None:
    for kind in FORMATS:
        path = tmp_path / "picture"
        path.write_bytes(encoded(kind))
        assert read_image(path).shape == (3, 20, 30), kind


@pytest.mark.parametrize("kind", ["EPS", "DDS", "ICNS", "PDF"])
def test_other_formats_are_refused_whatever_they_are_called(kind: str, tmp_path: Path) -> None:
    """Pillow would start Ghostscript for an EPS."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(encoded(kind))
    with pytest.raises(
        SeglibError, match=r"photo\.jpg, which is damaged or in none of the formats JPEG"
    ):
        read_image(path)


def test_the_error_for_a_phone_s_format_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "photo.HEIC"
    path.write_bytes(b"ftypheic")
    with pytest.raises(SeglibError, match="save it as JPEG or PNG"):
        read_image(path)


def test_a_picture_with_damaged_exif_is_read(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for kind in ("PNG", "JPEG", "WEBP"):
        path = tmp_path / f"photo.{kind.lower()}"
        data = exif.tobytes()
        path.write_bytes(encoded(kind, exif=data[:8] + b"\xff" * (len(data) - 8)))
        assert read_image(path).shape[0] == 3


def spoilt(content: bytes, chance: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        data[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(data[: chance.randrange(1, len(data))] if chance.random() < 0.3 else data)


def read_or_refused(path: Path, count: int, seed: int) -> int:
    """Damage good pictures at random; how many could still be read."""
    chance, read = random.Random(seed), 0
    exif = Image.Exif()
    exif[0x0112] = 6
    good = [encoded(kind) for kind in FORMATS] + [encoded("PNG", exif=exif.tobytes())]
    for _ in range(count):
        path.write_bytes(spoilt(chance.choice(good), chance))
        try:
            read += read_image(path).shape[0] == 3
        except SeglibError as error:
            assert "photo" in str(error)  # noqa: PT017
    return read


def test_some_hundred_damaged_pictures_are_read_or_refused(tmp_path: Path) -> None:
    assert read_or_refused(tmp_path / "photo.jpg", 300, seed=0) > 20


@pytest.mark.slow
def test_thousands_of_damaged_pictures_are_read_or_refused(tmp_path: Path) -> None:
    assert read_or_refused(tmp_path / "photo.jpg", 5000, seed=1) > 500


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_a_tensor_has_its_channels_first_however_narrow_it_is(width: int) -> None:
    image = torch.zeros(3, 5, width)
    image[0] = 1  # red
    pixels = as_rgb(image)
    assert pixels.shape == (5, width, 3)
    assert (pixels == [255, 0, 0]).all()
