"""COCO's run-length encoding of masks, from scratch.

A mask is read column by column, top to bottom and left to right, and stored as the lengths of
its runs, starting with a run of zeros (of length 0 when the first pixel is set):

    0 1          column 0: 0 1    column 1: 1 0
    1 0          pixels 0 1 1 0   counts [1, 2, 1]

Files store the counts as a list ("uncompressed") or as a string of printable characters
("compressed"); see `to_string`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as shortened

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from seglib.errors import SeglibError


@dataclass(frozen=True)
class RLE:
    """A mask as runs.

    Attributes:
        size: (H, W) in pixels.
        counts: lengths of the runs in column order, zeros first; they add up to H * W.
    """

    size: tuple[int, int]
    counts: list[int]


def encode(mask: Tensor) -> RLE:
    """Run-length encode one mask, bool [H, W].

    Raises:
        SeglibError: the mask is not [H, W].
    """
    if mask.ndim != 2:
        raise SeglibError(f"encode takes one mask [H, W], got {list(mask.shape)}")
    height, width = mask.shape
    pixels = mask.bool().cpu().numpy().ravel(order="F")  # column by column
    # A run ends wherever a pixel differs from the one before; a zero comes before the first.
    changes = np.flatnonzero(np.diff(pixels, prepend=False))
    boundaries = np.concatenate(([0], changes, [pixels.size]))
    return RLE((height, width), np.diff(boundaries).tolist())


def decode(rle: RLE) -> Tensor:
    """The mask that the runs describe, bool [H, W].

    Raises:
        SeglibError: a count is negative, or the counts do not add up to H * W.
    """
    height, width = rle.size
    # In Python's integers, which never overflow: a file may contain numbers of any length.
    total = sum(rle.counts)
    if total != height * width or min(rle.counts, default=0) < 0:
        raise SeglibError(
            f"the runs of an RLE must be 0 or more and add up to {height} x {width} = "
            f"{height * width} pixels, these add up to {shortened(total)}"
        )
    counts = np.asarray(rle.counts, dtype=np.int64)
    values = np.arange(len(counts)) % 2 == 1  # zeros, ones, zeros, …
    pixels = np.repeat(values, counts)
    return torch.from_numpy(pixels).view(width, height).T.contiguous()


def to_string(rle: RLE) -> str:
    """COCO's compressed form: each count in 5-bit groups, lowest first, as printable characters.

    From the fourth count on, the difference from the count two before it is written instead, since
    runs of the same value have similar lengths. If a character's bit of value 32 is set, another
    one follows; adding 48 makes it printable. The highest bit of the last group is the sign.
    """
    counts = rle.counts
    text = ""
    for index, count in enumerate(counts):
        number = count - counts[index - 2] if index > 2 else count
        more = True
        while more:
            group = number & 31
            number >>= 5  # rounds down, so negative numbers end in -1
            more = number != (-1 if group & 16 else 0)
            text += chr(48 + group + 32 * more)
    return text


def from_string(text: str | bytes, size: tuple[int, int]) -> RLE:
    """Read COCO's compressed form; the inverse of `to_string`.

    Args:
        text: the `counts` string of a COCO segmentation.
        size: (H, W) in pixels.

    Raises:
        SeglibError: characters that no encoder writes, or runs that do not add up to H * W.
    """
    raw = text.encode("latin-1", "replace") if isinstance(text, str) else text
    codes = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 48
    if len(codes) == 0 or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise SeglibError(
            "a compressed RLE is malformed: it is cut short or has foreign characters"
        )
    is_last = (codes & 32) == 0
    starts = np.flatnonzero(np.concatenate(([True], is_last[:-1])))
    lengths = np.diff(np.append(starts, len(codes)))
    if lengths.max() > 12:
        raise SeglibError("a compressed RLE is malformed: a number has more than 60 bits")
    shifts = 5 * (np.arange(len(codes)) - np.repeat(starts, lengths))
    counts = np.add.reduceat((codes & 31) << shifts, starts)
    # A set highest bit means a negative number: subtract the next power of two.
    counts -= np.where(codes[is_last] & 16, np.int64(1) << (5 * lengths), 0)
    # Undo the differences: odd and even positions each accumulate, without the first count.
    counts[1::2] = counts[1::2].cumsum()
    counts[2::2] = counts[2::2].cumsum()
    rle = RLE((int(size[0]), int(size[1])), counts.tolist())
    if counts.min() < 0 or counts.sum() != size[0] * size[1]:
        raise SeglibError(
            f"a compressed RLE has runs for {int(counts.sum())} pixels, not for {size[0]} x "
            f"{size[1]}"
        )
    return rle


def area(rle: RLE) -> int:
    """The number of set pixels: the sum of every second run."""
    return sum(rle.counts[1::2])


def intersection(a: RLE, b: RLE) -> int:
    """The number of pixels set in both masks, from the runs alone.

    Let `before(p)` be the number of set pixels of `b` before position p. It grows by one per pixel
    inside b's runs of ones and is constant elsewhere, so it is piecewise linear with corners at
    the runs' ends. A run of `a` from s to e then shares before(e) - before(s) pixels with b.
    """
    ends_a = np.cumsum(a.counts)
    corners, set_before = _corners(b)
    before = np.interp(ends_a, corners, set_before)
    starts, ends = before[0::2], before[1::2]
    return round(float((ends - starts[: len(ends)]).sum()))


def _corners(rle: RLE) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The positions where runs begin and end, and the number of set pixels before each."""
    runs = np.asarray([0, *rle.counts], dtype=np.int64)
    set_in_run = np.where(np.arange(len(runs)) % 2 == 0, runs, 0)  # position 0 is not a run
    return runs.cumsum(), set_in_run.cumsum()


def iou(a: Sequence[RLE], b: Sequence[RLE], iscrowd: Sequence[bool] | None = None) -> Tensor:
    """Intersection over union of every pair, without decoding; equals `masks.mask_iou`.

    Args:
        a: N masks, the detections.
        b: M masks of the same size, the objects.
        iscrowd: which of `b` are crowds: there the union is the area of `a` alone.

    Returns:
        float64 [N, M] in 0…1; 0 where both masks are empty.

    Raises:
        SeglibError: masks of different sizes.
    """
    sizes = {rle.size for rle in (*a, *b)}
    if len(sizes) > 1:
        raise SeglibError(f"masks of different sizes have no IoU: {sorted(sizes)}")
    areas_b = [area(rle) for rle in b]
    ious = torch.zeros(len(a), len(b), dtype=torch.float64)
    for i, rle_a in enumerate(a):
        area_a = area(rle_a)
        for j, rle_b in enumerate(b):
            both = intersection(rle_a, rle_b)
            crowd = iscrowd is not None and bool(iscrowd[j])
            union = area_a if crowd else area_a + areas_b[j] - both
            ious[i, j] = both / max(union, 1)
    return ious
