"""Pocket COCO is difficult enough, measured on the committed validation images."""

from __future__ import annotations

import pytest

from seglib.data import load_dataset
from seglib.data.assets import checkout_root
from seglib.data.pocket.baselines import cluster_average_precision, color_classifier_mean_iou
from seglib.data.pocket.statistics import measure

POCKET = checkout_root() / "data" / "pocket"


@pytest.fixture(scope="module")
def counted():
    return measure(POCKET, "val")


def test_two_to_twelve_objects_per_image(counted):
    assert counted.images == 300
    assert min(counted.per_image) >= 2
    assert max(counted.per_image) <= 12
    assert len(set(counted.per_image)) == 11, "not every number from 2 to 12 occurs"


def test_sizes_are_about_a_quarter_a_half_and_a_third(counted):
    for name, wanted in {"small": 0.25, "medium": 0.45, "large": 0.30}.items():
        assert counted.sizes[name] == pytest.approx(wanted, abs=0.05)


def test_no_annotated_object_is_too_small_to_see(counted):
    assert counted.smallest_area >= 40


def test_many_objects_are_occluded_touching_or_in_several_parts(counted):
    assert counted.occluded >= 1 / 3
    assert counted.touching >= 1 / 5
    assert counted.truncated >= 0.1
    assert counted.several_parts >= 0.1
    assert counted.with_hole >= 0.1


def test_every_class_is_common(counted):
    assert len(counted.per_class) == 12
    assert min(counted.per_class.values()) >= 0.05 * counted.objects


def test_color_alone_does_not_find_objects():
    assert cluster_average_precision(POCKET, "val", limit=60) <= 0.10


def test_color_alone_does_not_classify_pixels():
    """Colours are counted in two thirds of the images and evaluated on the others."""
    dataset = load_dataset("pocket", split="val")
    first, last = dataset.image_ids[:200], dataset.image_ids[200:]
    score = color_classifier_mean_iou(dataset.select(first), dataset.select(last))
    assert score <= 0.35
