"""Batches for training: seeded, resumable at any step, the same with one process or several."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Generator, Tensor
from torch.utils.data import DataLoader, Dataset

from seglib.data.coco import Sample
from seglib.data.transforms import Transform
from seglib.errors import SeglibError
from seglib.structures import Target


class Samples(Protocol):
    """A `CocoFolder`, or anything else that is indexed like one."""

    def __len__(self) -> int:
        """The number of images."""

    def __getitem__(self, index: int, /) -> Sample:
        """One image with its target."""


@dataclass(frozen=True)
class Batch:
    """The images and targets of one training step.

    Attributes:
        step: the number of the step, from 0.
        images: float [3, h_i, w_i] each.
        targets: one per image.
    """

    step: int
    images: list[Tensor]
    targets: list[Target]


def collate(samples: Sequence[Sample]) -> tuple[list[Tensor], list[Target]]:
    """Split samples into a list of images and a list of targets; sizes may differ."""
    return [image for image, _ in samples], [target for _, target in samples]


class SeededSampler:
    """The images of each step, computed from the step's number alone.

    The images are shuffled again for every pass over the data; the passes are concatenated and
    cut into batches. No state is kept, so resuming at a step is the same as starting there. With
    several processes, rank r of w takes items r, r + w, r + 2w, … of each batch: together they
    see exactly the batch that one process would see.
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
        """Check and store the settings.

        Args:
            length: number of images in the dataset.
            seed: at least 0; every seed shuffles differently.
            batch_size: images per step, over all processes together.
            rank: number of this process, from 0.
            world_size: number of processes.
            start_step: first step of the iteration.

        Raises:
            SeglibError: no images, a negative seed, or fewer images per step than processes.
        """
        if length < 1:
            raise SeglibError("cannot make batches from a dataset without images")
        if seed < 0:
            raise SeglibError(f"seed must be at least 0, not {seed}")
        if not 0 <= rank < world_size <= batch_size:
            raise SeglibError(
                f"batch_size {batch_size} must be at least the number of processes, {world_size}, "
                f"and rank {rank} must be between 0 and {world_size - 1}"
            )
        self.length, self.seed, self.batch_size = length, seed, batch_size
        self.rank, self.world_size, self.start_step = rank, world_size, start_step
        self._epoch, self._order = -1, np.empty(0, dtype=np.int64)

    def indices(self, step: int) -> list[int]:
        """The dataset indices of this process at `step`."""
        first = step * self.batch_size
        positions = range(first + self.rank, first + self.batch_size, self.world_size)
        return [self._index_at(position) for position in positions]

    def __iter__(self) -> Iterator[list[int]]:
        """The indices of `start_step` and of every later step, without end."""
        return map(self.indices, itertools.count(self.start_step))

    def _index_at(self, position: int) -> int:
        """The index at a position of the concatenated passes."""
        epoch, offset = divmod(position, self.length)
        if epoch != self._epoch:
            shuffle = np.random.default_rng([self.seed, epoch])
            self._epoch, self._order = epoch, shuffle.permutation(self.length)
        return int(self._order[offset])


def sample_generator(seed: int, step: int, image_id: int) -> Generator:
    """The generator for one image's augmentation at one step, the same in any process and batch."""
    entropy = [seed, step, image_id] if image_id >= 0 else [seed, step, -image_id, 1]
    state = np.random.SeedSequence(entropy).generate_state(1, np.uint64)
    return Generator().manual_seed(int(state[0] >> np.uint64(1)))


class _Steps(Dataset[Batch]):
    """Item `step` is the batch of that step, so that worker processes can prepare steps ahead."""

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
    """The batches of steps `start_step` to `steps` - 1, which do not depend on interruptions.

    Args:
        dataset: the images and targets.
        batch_size: images per step, over all processes together.
        seed: the seed of shuffling and augmentation.
        steps: the number of steps of the whole run, after which the batches end; None never ends.
        start_step: the first step.
        transform: augmentation, seeded by (seed, step, image id).
        rank: number of this process, from 0.
        world_size: number of processes.
        num_workers: processes that read ahead; 0 reads in this process, which works everywhere.
    """
    sampler = SeededSampler(len(dataset), seed, batch_size, rank, world_size, start_step)
    by_step = _Steps(dataset, sampler, transform)
    numbers = itertools.count(start_step) if steps is None else range(start_step, steps)
    if num_workers == 0:
        return map(by_step.__getitem__, numbers)
    loader = DataLoader(
        _Reported(by_step),
        batch_size=None,  # an item is already a batch: the loader must neither shuffle nor batch
        sampler=numbers,
        num_workers=num_workers,
        worker_init_fn=_share_by_name,
        generator=Generator(),  # or the loader draws a number from the run's own
    )
    return map(_raised, iter(loader))


class _Reported(Dataset["Batch | Exception"]):
    """The same items; errors are returned as objects, of which the loader would only send text."""

    def __init__(self, items: Dataset[Batch]) -> None:
        self.items = items

    def __getitem__(self, step: int) -> Batch | Exception:
        try:
            return self.items[step]
        except Exception as error:  # a data set may raise anything
            return error


def _raised(item: Batch | Exception) -> Batch:
    if isinstance(item, Exception):
        raise item
    return item


def _share_by_name(_: int) -> None:
    """Pass tensors between processes as named files: otherwise each would be an open file."""
    torch.multiprocessing.set_sharing_strategy("file_system")
