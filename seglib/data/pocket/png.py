"""Writing PNG files with little work: one filter for all rows, one pass of zlib."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB = 2


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A painted image, uint8 [H, W, 3].

    Each pixel is stored as its difference from the one on its left, and zlib looks for runs
    alone: its search for repetitions takes longer and finds next to none.
    """
    rows = _rows(pixels, filter_type=1)
    rows[:, 4:] -= pixels.reshape(len(pixels), -1)[:, :-3]
    _write(path, pixels, rows, zlib.Z_RLE)


def write_map(path: Path, pixels: NDArray[np.uint8]) -> None:
    """A map of even areas, uint8 [H, W, 3]: rows often repeat, so they are left as they are."""
    _write(path, pixels, _rows(pixels, filter_type=0), zlib.Z_DEFAULT_STRATEGY)


def _rows(pixels: NDArray[np.uint8], filter_type: int) -> NDArray[np.uint8]:
    """[H, 1 + 3 W]: each row of pixels after the number of its filter."""
    height, width, _ = pixels.shape
    rows = np.empty((height, 1 + 3 * width), np.uint8)
    rows[:, 0] = filter_type
    rows[:, 1:] = pixels.reshape(height, -1)
    return rows


def _write(path: Path, pixels: NDArray[np.uint8], rows: NDArray[np.uint8], strategy: int) -> None:
    height, width, _ = pixels.shape
    packer = zlib.compressobj(level=1, memLevel=9, strategy=strategy)
    packed = packer.compress(rows.tobytes()) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, 8, _RGB, 0, 0, 0)
    chunks = (_chunk(b"IHDR", head), _chunk(b"IDAT", packed), _chunk(b"IEND", b""))
    path.write_bytes(_SIGNATURE + b"".join(chunks))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
