"""Batches for training: seeded, resumable at any step, the same for one process and for several."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from seglib.data.coco import Sample
from seglib.data.transforms import Transform
from seglib.errors import SeglibError
from seglib.structures import Target


class Samples(Protocol):
    """What batches are drawn from: a `CocoFolder`, or anything indexed like one."""

    def __len__(self) -> int:
        """How many images."""

    def __getitem__(self, index: int, /) -> Sample:
        """One image and what is true of it."""


@dataclass(frozen=True)
class Batch:
    """What one step of training sees.

    Attributes:
        step: its number, from 0.
        images: float [3, h_i, w_i] each.
        targets: one an image.
    """

    step: int
    images: list[Tensor]
    targets: list[Target]


def collate(samples: Sequence[Sample]) -> tuple[list[Tensor], list[Target]]:
    """Samples to a list of images and a list of targets; sizes may differ."""
    return [image for image, _ in samples], [target for _, target in samples]


class SeededSampler:
    """Which images each step sees, computed from the step's number alone.

    The images are shuffled anew for every pass over the data; the passes form one long row that
    is cut into batches. Nothing is remembered, so resuming at a step is starting at that step.
    With several processes, rank r of w takes items r, r + w, r + 2w, … of each batch: together
    they see exactly the batch that one process would see.
    """

    def __init__(
        self,
        length: int,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world_size: int = 1,
        start_step: int = 0,
    ) -> None:
        """Describe the row of batches.

        Args:
            length: images in the dataset.
            seed: at least 0; every seed shuffles differently.
            batch_size: images a step, over all processes together.
            rank: number of this process.
            world_size: number of processes.
            start_step: where iteration begins.

        Raises:
            SeglibError: no images, a negative seed, or fewer images a step than processes.
        """
        if length < 1:
            raise SeglibError("cannot draw batches from a dataset without images")
        if seed < 0:
            raise SeglibError(f"seed must be at least 0, not {seed}")
        if not 0 <= rank < world_size <= batch_size:
            raise SeglibError(
                f"batch_size {batch_size} must give each of {world_size} processes an image, and "
                f"rank {rank} must be one of them"
            )
        self.length, self.seed, self.batch_size = length, seed, batch_size
        self.rank, self.world_size, self.start_step = rank, world_size, start_step
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> list[int]:
        """Dataset indices that this process sees at `step`."""
        first = step * self.batch_size
        places = range(first + self.rank, first + self.batch_size, self.world_size)
        return [self._at(place) for place in places]

    def __iter__(self) -> Iterator[list[int]]:
        """Indices of `start_step`, the step after it, and so on without end."""
        return map(self.indices, itertools.count(self.start_step))

    def _at(self, place: int) -> int:
        epoch, offset = divmod(place, self.length)
        if epoch != self._epoch:
            shuffle = np.random.default_rng([self.seed, epoch])
            self._epoch, self._order = epoch, shuffle.permutation(self.length)
        return int(self._order[offset])


def sample_generator(seed: int, step: int, image_id: int) -> Generator:
    """The chance of one image's augmentation at one step; no process or batch comes into it."""
    state = np.random.SeedSequence([seed, step, image_id]).generate_state(1, np.uint64)
    return Generator().manual_seed(int(state[0] >> np.uint64(1)))


class _Steps(Dataset[Batch]):
    """Item `step` is that step's batch, so that worker processes can prepare steps ahead."""

    def __init__(
        self, dataset: Samples, sampler: SeededSampler, transform: Transform | None
    ) -> None:
        self.dataset, self.sampler, self.transform = dataset, sampler, transform

    def __getitem__(self, step: int) -> Batch:
        samples = [self._sample(step, index) for index in self.sampler.indices(step)]
        return Batch(step, *collate(samples))

    def _sample(self, step: int, index: int) -> Sample:
        image, target = self.dataset[index]
        if self.transform is None:
            return image, target
        generator = sample_generator(self.sampler.seed, step, target.image_id)
        return self.transform(image, target, generator)


def batches(
    dataset: Samples,
    batch_size: int,
    *,
    seed: int = 0,
    steps: int | None = None,
    start_step: int = 0,
    transform: Transform | None = None,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
) -> Iterator[Batch]:
    """Batches `start_step` to `steps` - 1; the same ones however often training is resumed.

    Args:
        dataset: what to draw from.
        batch_size: images a step, over all processes together.
        seed: of the shuffling and of the augmentation.
        steps: where to stop; None goes on without end.
        start_step: where to begin.
        transform: augmentation, seeded by (seed, step, image id).
        rank: number of this process.
        world_size: number of processes.
        num_workers: processes that read ahead; 0 reads here, which works everywhere.
    """
    sampler = SeededSampler(len(dataset), seed, batch_size, rank, world_size, start_step)
    by_step = _Steps(dataset, sampler, transform)
    numbers = itertools.count(start_step) if steps is None else range(start_step, steps)
    if num_workers == 0:
        return map(by_step.__getitem__, numbers)
    # Item = step = batch: the loader must neither shuffle nor batch by itself.
    return iter(DataLoader(by_step, batch_size=None, sampler=numbers, num_workers=num_workers))
