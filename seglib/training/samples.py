"""Samples in memory: read once, stored compactly, available faster than a model can train."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from seglib.data.loading import Samples
from seglib.data.sample_cache import PackedSample
from seglib.data.transforms import Compose, RandomColor, RandomFlip, RandomScaleCrop, Transform
from seglib.models.base import Task
from seglib.models.config import Augmentation
from seglib.structures import Target

Sample = tuple[Tensor, Target]
Item = TypeVar("Item")
GIBIBYTE = 1 << 30
# Keys are the values of `ModelConfig.augmentation`.
AUGMENTATIONS: dict[Augmentation, Transform] = {
    "flip": RandomFlip(),
    "flip_crop_color": Compose((RandomFlip(), RandomScaleCrop(), RandomColor())),
}


class MemorySource:
    """Caches the fields of each sample that the model's tasks need.

    A 128 x 128 image with its label map takes 64 KB, so Pocket's 4,000 fit in 260 MB.
    """

    def __init__(self, source: Samples, tasks: Sequence[Task], limit: int = 2 * GIBIBYTE) -> None:
        """Wrap `source`; samples that do not fit into `limit` bytes are read again each time."""
        self.source = source
        self._tasks = frozenset(tasks)
        self._room = limit
        self._packed: dict[int, PackedSample] = {}

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        """A fresh copy of the sample, with only the target's fields that the tasks need."""
        packed = self._packed.get(index)
        if packed is None:
            packed = self._pack(*self.source[index])
            size = _nbytes(packed)
            if size <= self._room:
                self._room -= size
                self._packed[index] = packed
        image, target = packed.unpack()
        return image.float().div_(255), target

    def _pack(self, image: Tensor, target: Target) -> PackedSample:
        needed = target if self._tasks & {"instances", "proposals", "panoptic"} else target[:0]
        slim = replace(
            needed,
            semantic=target.semantic if self._tasks & {"semantic", "panoptic"} else None,
            panoptic=target.panoptic if "panoptic" in self._tasks else None,
            truth=None,  # for evaluations alone
        )
        return PackedSample.pack((image * 255).round().to(torch.uint8), slim)


def _nbytes(packed: PackedSample) -> int:
    maps = [packed.image, packed.semantic, packed.segment_map]
    return packed.mask_bits.nbytes + sum(part.nbytes for part in maps if part is not None)


def describe(source: Samples) -> dict[str, Any]:
    """Name, number of images and a digest of their ids, by which resuming notices other data."""
    ids = [int(i) for i in getattr(source, "image_ids", range(len(source)))]
    digest = hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()[:16]
    return {"name": str(getattr(source, "name", "")), "images": len(source), "digest": digest}


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items; a background thread prepares the next one while one is in use."""
    with ThreadPoolExecutor(max_workers=1) as background:
        waiting = background.submit(next, items, None)
        while (item := waiting.result()) is not None:
            waiting = background.submit(next, items, None)
            yield item
