"""The interface of a data set that can be evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures import AreaRanges, Categories, Target


class LabelledImages(Protocol):
    """A named, indexable collection of (image float32 [3, H, W], Target)."""

    @property
    def name(self) -> str:
        """The name in tables and notes."""

    @property
    def categories(self) -> Categories:
        """What the labels mean."""

    @property
    def area_ranges(self) -> AreaRanges:
        """The area ranges for figures by size: name → (smallest, largest) px², "all" first."""

    def __len__(self) -> int:
        """The number of images."""

    def __getitem__(self, index: int, /) -> tuple[Tensor, Target]:
        """One image and its target."""


def first_samples(dataset: LabelledImages, limit: int | None) -> Iterator[tuple[Tensor, Target]]:
    """The first `limit` samples of a data set; None means all."""
    count = len(dataset) if limit is None else min(limit, len(dataset))
    if count < 1:
        raise SeglibError(f"{dataset.name}: no images to evaluate ({len(dataset)}, limit {limit})")
    return (dataset[index] for index in range(count))


def true_labels(target: Target, dataset_name: str) -> Tensor:
    """The semantic map of a target; raises SeglibError if the data set has none."""
    if target.semantic is None:
        raise SeglibError(f"{dataset_name}, image {target.image_id}: the target has no label map")
    return target.semantic
