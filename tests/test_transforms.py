"""Transforms keep an image and its target consistent."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from seglib.data import transforms as T
from seglib.data.targets import semantic_from_masks
from seglib.errors import SeglibError
from seglib.ops.images import scaled_size
from seglib.ops.masks import mask_area, masks_to_boxes
from seglib.structures import IGNORE, Panoptic, Target


def rectangles(height: int, width: int, seed: int = 0, count: int = 3) -> tuple:
    """An image whose red channel marks object 0, and targets of `count` rectangles."""
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(count, height, width, dtype=torch.bool)
    for mask in masks:
        y, x = (int(torch.randint(n, (), generator=generator)) for n in (height, width))
        h, w = (int(torch.randint(1, n + 1, (), generator=generator)) for n in (height, width))
        mask[y : y + h, x : x + w] = True
    labels = torch.arange(1, count + 1)
    segment_map = torch.zeros(height, width, dtype=torch.int64)
    for number, mask in zip(labels, masks, strict=True):
        segment_map[mask] = number
    crowd = torch.zeros(count, dtype=torch.bool)
    target = Target(
        boxes=masks_to_boxes(masks),
        labels=labels,
        masks=masks,
        iscrowd=crowd,
        area=mask_area(masks).float(),
        size=(height, width),
        image_id=seed,
        semantic=semantic_from_masks(masks, labels, crowd),
        panoptic=Panoptic(segment_map, labels, labels, crowd),
    )
    image = torch.rand(3, height, width, generator=generator)
    image[0] = masks[0].float()
    return image, T.drop_invisible(target)  # later segments may hide an earlier one


def assert_consistent(image: torch.Tensor, target: Target) -> None:
    """Boxes, masks and maps must describe the same pixels."""
    height, width = target.size
    assert image.shape == (3, height, width)
    assert target.masks.shape == (len(target), height, width)
    assert target.semantic.shape == target.panoptic.segment_map.shape == (height, width)
    assert mask_area(target.masks).min() > 0 if len(target) else True
    for label, mask in zip(target.labels, target.masks, strict=True):
        labelled = (target.semantic == label) | (target.panoptic.segment_map == label)
        assert not (labelled & ~mask).any()
    assert set(target.panoptic.ids.tolist()) <= set(target.panoptic.segment_map.unique().tolist())
    inside = target.boxes - target.boxes.new_tensor([0, 0, width, height])
    assert (inside[:, :2] > -1e-4).all()
    assert (inside[:, 2:] < 1e-4).all()
    assert (target.boxes[:, 2:] > target.boxes[:, :2]).all()


def same(a: tuple, b: tuple) -> bool:
    names = ("boxes", "labels", "masks", "area", "semantic")
    return torch.equal(a[0], b[0]) and all(
        torch.equal(getattr(a[1], n), getattr(b[1], n)) for n in names
    )


def test_scaled_size():
    assert scaled_size((480, 640), 0.2) == (96, 128)
    assert scaled_size((640, 480), 0.5) == (320, 240)
    assert scaled_size((1, 1000), 0.01) == (1, 10)


def test_flip_by_hand():
    image = torch.arange(12.0).view(3, 1, 4)
    _, target = rectangles(1, 4)
    target.masks = torch.tensor([[[True, False, False, False]]])
    target.boxes, target.labels = torch.tensor([[0.0, 0, 1, 1]]), torch.tensor([1])
    flipped, mirrored = T.horizontal_flip(image, target)
    assert flipped[0, 0].tolist() == [3, 2, 1, 0]
    assert mirrored.boxes.tolist() == [[3, 0, 4, 1]]
    assert mirrored.masks[0, 0].tolist() == [False, False, False, True]


@given(st.integers(2, 30), st.integers(2, 30), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_flipping_twice_changes_nothing(height, width, seed):
    sample = rectangles(height, width, seed)
    assert_consistent(*T.horizontal_flip(*sample))
    assert same(T.horizontal_flip(*T.horizontal_flip(*sample)), sample)


def test_doubling_by_hand():
    image, target = rectangles(4, 6, seed=3)
    bigger, doubled = T.resize_sample(image, target, 12)
    assert bigger.shape == (3, 8, 12)
    assert torch.equal(doubled.boxes, 2 * target.boxes)
    assert torch.equal(doubled.area, 4 * target.area)
    assert torch.equal(doubled.masks[:, ::2, ::2], target.masks)
    assert torch.equal(doubled.masks[:, 1::2, 1::2], target.masks)
    assert torch.equal(masks_to_boxes(doubled.masks), doubled.boxes)


@given(st.integers(2, 30), st.integers(2, 30), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_resizing_keeps_the_target_consistent(height, width, size, seed):
    image, target = T.resize_sample(*rectangles(height, width, seed), size)
    assert max(target.size) == size
    assert 0 <= image.min() <= image.max() <= 1
    assert_consistent(image, target)


def test_objects_that_vanish_are_removed():
    image, target = rectangles(64, 64)
    segments = target.panoptic.segment_map
    target.masks[:], segments[:] = True, 1
    target.masks[1], segments[10:30] = False, 3
    target.masks[1, 0, 0], segments[0, 0] = True, 2
    target.panoptic.ids = torch.tensor([1, 2, 3])
    _, small = T.resize_sample(image, target, 8)
    assert small.labels.tolist() == [1, 3]
    assert small.panoptic.ids.tolist() == [1, 3]


def test_resizing_refuses_impossible_sizes_and_mismatched_targets():
    image, target = rectangles(8, 8)
    with pytest.raises(SeglibError, match="0 px"):
        T.resize_sample(image, target, 0)
    with pytest.raises(SeglibError, match=r"\[8, 7\] px"):
        T.resize_sample(image[..., :7], target, 4)


def test_crop_by_hand():
    image, target = rectangles(6, 6)
    target.masks[:] = False
    target.masks[0, 0:4, 0:4] = True  # cut by the window
    target.masks[1, 3:5, 3:5] = True  # whole within it
    target.masks[2, 0, 0] = True  # outside
    target.boxes, target.area = masks_to_boxes(target.masks), mask_area(target.masks).float()
    cut, kept = T.crop(image, target, top=2, left=2, size=(5, 4))
    assert kept.labels.tolist() == [1, 2]
    assert kept.boxes.tolist() == [[0, 0, 2, 2], [1, 1, 3, 3]]
    assert kept.area.tolist() == [4, 4]
    assert torch.equal(cut[:, :4], image[:, 2:6, 2:6])
    assert cut[:, 4].eq(T.FILL).all()  # below the image
    assert kept.semantic[4].eq(IGNORE).all()
    assert kept.panoptic.segment_map[4].eq(0).all()


@given(st.integers(0, 10**6))
@example(114864)  # a scaled box that extends past the window by part of a pixel
@settings(max_examples=40, deadline=None)
def test_augmentations_are_consistent_and_repeatable(seed):
    augment = T.Compose([T.RandomFlip(), T.RandomScaleCrop(0.5, 2.0), T.RandomColor()])
    sample = rectangles(17, 23, seed)
    first = augment(*sample, torch.Generator().manual_seed(seed))
    assert_consistent(*first)
    assert first[1].size == (17, 23)
    assert same(first, augment(*rectangles(17, 23, seed), torch.Generator().manual_seed(seed)))
    assert same(sample, rectangles(17, 23, seed))  # the original is untouched


def test_flip_probability():
    sample = rectangles(5, 5)
    never, always = T.RandomFlip(0.0), T.RandomFlip(1.0)
    generator = torch.Generator().manual_seed(0)
    assert same(never(*sample, generator), sample)
    assert same(always(*sample, generator), T.horizontal_flip(*sample))
