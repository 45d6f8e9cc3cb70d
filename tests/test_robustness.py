"""Hard objects by hand: thin, crowded, occluded; their recall; blurred and noisy images."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from seglib.data.corruptions import add_noise, gaussian_blur
from seglib.metrics.robustness import (
    GroupRecall,
    group_recall,
    hidden_share,
    neighbour_iou,
    object_groups,
    thickness,
)
from tests.modelling import boxes_target, masks_target


def mask(*rows: str) -> Tensor:
    """A mask from its rows, # inside."""
    return torch.tensor([[letter == "#" for letter in row] for row in rows])


# ---- thickness ----


@pytest.mark.parametrize(
    ("rows", "side"),
    [
        (["...", "...", "..."], 0),
        (["###", "...", "..."], 1),
        (["##.", "##.", "..."], 1),  # a square of 2 has no pixel at its centre
        (["###", "###", "###"], 3),  # the border of the image ends the object
        (["###", "#.#", "###"], 1),
    ],
)
def test_thickness_by_hand(rows, side):
    assert thickness(mask(*rows)[None]).tolist() == [side]


def test_thickness_of_a_large_square_and_of_none():
    square = torch.zeros(1, 12, 12, dtype=torch.bool)
    square[0, 1:10, 2:11] = True
    assert thickness(square).tolist() == [9]
    assert thickness(torch.zeros(0, 4, 4, dtype=torch.bool)).shape == (0,)


# ---- neighbours ----


def test_the_nearest_neighbour_of_each_box():
    boxes = torch.tensor([[0, 0, 10, 10], [5, 0, 15, 10], [50, 50, 60, 60]]).float()
    torch.testing.assert_close(neighbour_iou(boxes), torch.tensor([1 / 3, 1 / 3, 0]))
    assert neighbour_iou(boxes[:1]).tolist() == [0]
    assert neighbour_iou(boxes[:0]).shape == (0,)


# ---- occlusion ----


def test_pixels_between_two_parts_of_an_object_are_hidden():
    behind = mask("##..##", "##..##", "......")
    front = mask("..##..", "..##..", "..##..")
    # Four pixels of the bar lie between the parts; the bar has nothing between its own pixels.
    assert hidden_share(torch.stack([behind, front])).tolist() == [pytest.approx(4 / 12), 0]


def test_a_hole_without_another_object_hides_nothing():
    ring = mask("###", "#.#", "###")
    assert hidden_share(ring[None]).tolist() == [0]
    dot = mask("...", ".#.", "...")
    assert hidden_share(torch.stack([ring, dot])).tolist() == [pytest.approx(1 / 9), 0]


def test_columns_count_as_rows_do():
    masks = torch.stack([mask("##..##", "##..##"), mask("..##..", "..##..")])
    assert torch.equal(hidden_share(masks), hidden_share(masks.transpose(1, 2)))


def test_occlusion_of_nothing():
    assert hidden_share(torch.zeros(0, 3, 3, dtype=torch.bool)).shape == (0,)


# ---- groups ----


def test_the_groups_of_an_image():
    ranges = {"all": (0.0, 1e9), "small": (0.0, 30.0), "large": (30.0, 1e9)}
    target = boxes_target(
        (40, 40),
        [(0, 0, 5, 5), (10, 0, 12, 30), (20, 0, 30, 10), (22, 0, 32, 10), (0, 20, 9, 29)],
        [1, 1, 1, 1, 1],
        iscrowd=[False, False, False, False, True],
    )
    groups = {name: rows.tolist() for name, rows in object_groups(target, ranges).items()}
    assert groups["all"] == [True, True, True, True, False]
    assert groups["small"] == [True, False, False, False, False]
    assert groups["thin"] == [False, True, False, False, False]
    assert groups["crowded"] == [False, False, True, True, False]
    assert groups["occluded"] == [False] * 5


def test_crowds_make_no_object_crowded_or_occluded():
    ring = torch.zeros(1, 20, 20, dtype=torch.bool)
    ring[0, 2:18, 2:18] = True
    ring[0, 5:15, 5:15] = False
    inside = torch.zeros_like(ring)
    inside[0, 5:15, 5:15] = True
    ranges = {"all": (0.0, 1e9), "small": (0.0, 1.0)}
    both = torch.cat([ring, inside])
    alone = object_groups(masks_target(both, [1, 1], iscrowd=[False, True]), ranges)
    assert not alone["occluded"].any()
    assert not alone["crowded"].any()
    together = object_groups(masks_target(both, [1, 1]), ranges)
    assert together["occluded"].tolist() == [True, False]
    assert together["crowded"].tolist() == [True, True]


def test_recall_of_groups():
    groups = [
        {"all": torch.tensor([True, True, True]), "thin": torch.tensor([False, True, True])},
        {"all": torch.tensor([True]), "thin": torch.tensor([False])},
    ]
    found = [np.array([True, True, False]), np.array([False])]
    result = group_recall(found, groups)
    assert result == {"all": GroupRecall(2, 4), "thin": GroupRecall(1, 2)}
    assert result["thin"].recall == 0.5
    assert math.isnan(GroupRecall(0, 0).recall)
    assert group_recall([], []) == {}


# ---- altered images ----


def test_blur_of_one_bright_pixel():
    image = torch.zeros(3, 9, 9)
    image[:, 4, 4] = 1
    row = torch.exp(-torch.tensor([4.0, 1, 0, 1, 4]) / (2 * 0.5**2))
    row = torch.cat([row[1:4]]) / row.sum()  # radius 2: the outermost weights are nearly 0
    blurred = gaussian_blur(image, 0.5)
    torch.testing.assert_close(blurred[0, 3:6, 3:6], torch.outer(row, row))
    assert blurred.sum().item() == pytest.approx(3, abs=1e-5)


def test_blur_keeps_flat_images_and_small_ones():
    flat = torch.full((3, 2, 5), 0.3)
    torch.testing.assert_close(gaussian_blur(flat, 3.0), flat)
    assert gaussian_blur(flat, 0) is flat


def test_noise_is_repeatable_clamped_and_as_strong_as_said():
    image = torch.full((3, 100, 100), 0.5)
    first = add_noise(image, 0.1, torch.Generator().manual_seed(3))
    assert torch.equal(first, add_noise(image, 0.1, torch.Generator().manual_seed(3)))
    assert first.std().item() == pytest.approx(0.1, rel=0.02)
    assert first.mean().item() == pytest.approx(0.5, abs=0.002)
    strong = add_noise(image, 5.0, torch.Generator().manual_seed(3))
    assert (strong.min().item(), strong.max().item()) == (0, 1)
