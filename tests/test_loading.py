"""Batches: seeded, resumable at any step, the same with one process or several."""

from itertools import chain

import pytest
import torch

from seglib.data.coco import CocoFolder, Sample
from seglib.data.loading import SeededSampler, batches, collate, sample_generator
from seglib.data.transforms import Compose, RandomFlip, RandomScaleCrop
from seglib.errors import SeglibError
from tests.tiny_coco import build_tiny_coco

AUGMENT = Compose([RandomFlip(), RandomScaleCrop()])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> CocoFolder:
    tiny = build_tiny_coco(tmp_path_factory.mktemp("tiny") / "tiny")
    return CocoFolder(tiny.images, tiny.json_path, size=16, cache=True)


def first_steps(sampler: SeededSampler, steps: int) -> list[list[int]]:
    return [indices for indices, _ in zip(sampler, range(steps), strict=False)]


def test_every_pass_contains_each_image_once():
    flat = list(chain(*first_steps(SeededSampler(10, seed=1, batch_size=4), 10)))
    for epoch in range(4):
        assert sorted(flat[10 * epoch : 10 * epoch + 10]) == list(range(10))
    assert flat[:10] != flat[10:20]


def test_a_seed_repeats_its_batches_and_another_seed_differs():
    one = first_steps(SeededSampler(50, 1, 8), 5)
    assert one == first_steps(SeededSampler(50, 1, 8), 5)
    assert one != first_steps(SeededSampler(50, 2, 8), 5)


@pytest.mark.parametrize("start", [1, 3, 17])
def test_resuming_at_a_step_equals_starting_there(start):
    whole = first_steps(SeededSampler(7, 0, 3), start + 5)
    assert first_steps(SeededSampler(7, 0, 3, start_step=start), 5) == whole[start:]


@pytest.mark.parametrize("world_size", [2, 3])
def test_processes_share_the_batch_of_a_single_process(world_size):
    alone = SeededSampler(11, 5, 7)
    ranks = [SeededSampler(11, 5, 7, rank, world_size) for rank in range(world_size)]
    for step in (0, 1, 9):
        for rank, sampler in enumerate(ranks):
            assert sampler.indices(step) == alone.indices(step)[rank::world_size]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"length": 0}, "without images"),
        ({"seed": -1}, "seed must be"),
        ({"world_size": 9}, "batch_size 4"),
        ({"rank": 1}, "rank 1"),
    ],
)
def test_impossible_samplers_are_refused(options, message):
    with pytest.raises(SeglibError, match=message):
        SeededSampler(**{"length": 5, "seed": 0, "batch_size": 4, **options})


def test_batches_contain_steps_images_and_targets(dataset):
    seen = list(batches(dataset, 2, steps=5, start_step=2))
    assert [batch.step for batch in seen] == [2, 3, 4]
    for batch in seen:
        assert len(batch.images) == len(batch.targets) == 2
        for image, target in zip(batch.images, batch.targets, strict=True):
            assert image.shape == (3, *target.size)


def images_by_id(batch) -> dict[int, torch.Tensor]:
    return {t.image_id: image for image, t in zip(batch.images, batch.targets, strict=True)}


def equal(a: dict[int, torch.Tensor], b: dict[int, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_augmentation_does_not_depend_on_the_process(dataset):
    options = {"seed": 3, "steps": 4, "transform": AUGMENT}
    alone = list(batches(dataset, 4, **options))
    both = [list(batches(dataset, 4, rank=r, world_size=2, **options)) for r in range(2)]
    for one, left, right in zip(alone, *both, strict=True):
        assert equal(images_by_id(one), images_by_id(left) | images_by_id(right))
    resumed = list(batches(dataset, 4, start_step=2, **options))
    assert equal(images_by_id(resumed[0]), images_by_id(alone[2]))


def test_augmentation_changes_with_step_and_image():
    def sample(seed: int, step: int, image_id: int) -> float:
        return float(torch.rand((), generator=sample_generator(seed, step, image_id)))

    assert sample(0, 1, 2) == sample(0, 1, 2)
    assert len({sample(0, 1, 2), sample(1, 1, 2), sample(0, 2, 2), sample(0, 1, 3)}) == 4


def test_workers_give_the_same_batches(dataset):
    options = {"seed": 1, "steps": 3, "transform": AUGMENT}
    here = list(batches(dataset, 2, **options))
    there = list(batches(dataset, 2, num_workers=1, **options))
    for a, b in zip(here, there, strict=True):
        assert a.step == b.step
        assert equal(images_by_id(a), images_by_id(b))


def test_an_error_in_a_worker_arrives_as_it_was(dataset):
    class Broken:
        def __len__(self) -> int:
            return 4

        def __getitem__(self, index: int) -> Sample:
            raise SeglibError("image 7: cut short")

    with pytest.raises(SeglibError, match=r"^image 7: cut short$"):
        list(batches(Broken(), 2, steps=1, num_workers=1))


def test_endless_batches(dataset):
    endless = batches(dataset, 5)
    assert [next(endless).step for _ in range(3)] == [0, 1, 2]


def test_collate(dataset):
    images, targets = collate([dataset[0], dataset[1]])
    assert [t.image_id for t in targets] == dataset.image_ids[:2]
    assert len(images) == 2


@pytest.mark.parametrize("image_id", [0, 1, 2**32 + 1, 2**64 + 1])
def test_augmentation_follows_image_ids_of_any_sign_and_size(image_id):
    def number(image_id: int) -> float:
        return torch.rand((), generator=sample_generator(0, 5, image_id)).item()

    assert number(image_id) == number(image_id)
    others = {number(other) for other in (image_id + 1, -image_id - 1, -image_id - 2)}
    assert len(others | {number(image_id)}) == 4
