"""Assigning and sampling boxes: by hand, golden, against torchvision, no objects, shares."""

from __future__ import annotations

import pytest
import torch
from torchvision.models.detection._utils import Matcher

from seglib import ops
from tests.helpers import golden


def test_by_hand() -> None:
    # Boxes: good, in between, poor but best for the second object, bad.
    iou = torch.tensor([[0.8, 0.5, 0.25, 0.1], [0.0, 0.0, 0.2, 0.1]])
    labels, indices = ops.assign_boxes(iou, 0.7, 0.3)
    assert labels.tolist() == [1, -1, 0, 0]
    assert indices.tolist() == [0, 0, 0, 0]
    labels, indices = ops.assign_boxes(iou, 0.7, 0.3, allow_low_quality=True)
    assert labels.tolist() == [1, -1, 1, 0]
    assert indices.tolist() == [0, 0, 0, 0]  # the third keeps its own best object


def test_thresholds_met_exactly() -> None:
    labels, _ = ops.assign_boxes(torch.tensor([[0.5, 0.25, 0.125]]), 0.5, 0.25)
    assert labels.tolist() == [1, -1, 0]


def test_golden() -> None:
    out = golden("matcher")["basic"]["out"]
    inputs = golden("matcher")["basic"]["in"]
    iou = ops.box_iou(torch.from_numpy(inputs["gt_boxes"]), torch.from_numpy(inputs["boxes"]))
    torch.testing.assert_close(iou, torch.from_numpy(out["iou"]), rtol=0, atol=1e-5)
    labels, indices = ops.assign_boxes(iou, 0.7, 0.3, allow_low_quality=True)
    assert labels.tolist() == out["rpn_label"].tolist()
    assert indices.tolist() == out["rpn_index"].tolist()
    for percent in (50, 60, 70):
        labels, indices = ops.assign_boxes(iou, percent / 100, percent / 100)
        assert labels.tolist() == out[f"roi_label_{percent}"].tolist()
        assert indices.tolist() == out["roi_index"].tolist()


@pytest.mark.parametrize("allow_low_quality", [False, True])
def test_equals_torchvision(allow_low_quality: bool) -> None:
    iou = torch.rand(6, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    iou[5, :30] = iou[5].amax()  # ties
    expected = Matcher(0.9, 0.6, allow_low_quality)(iou)  # index, or −1 below, −2 between
    labels, indices = ops.assign_boxes(iou, 0.9, 0.6, allow_low_quality)
    assert all((labels == label).sum() >= 10 for label in (1, 0, -1))
    assert torch.equal(labels == 1, expected >= 0)
    assert torch.equal(labels == 0, expected == -1)
    assert torch.equal(indices[labels == 1], expected[labels == 1])


@pytest.mark.parametrize("allow_low_quality", [False, True])
def test_without_objects_or_boxes(allow_low_quality: bool) -> None:
    labels, indices = ops.assign_boxes(torch.zeros(0, 3), 0.7, 0.3, allow_low_quality)
    assert labels.tolist() == indices.tolist() == [0, 0, 0]
    labels, indices = ops.assign_boxes(torch.zeros(2, 0), 0.7, 0.3, allow_low_quality)
    assert labels.shape == indices.shape == (0,)


def test_an_object_without_overlap_makes_boxes_without_overlap_positive() -> None:
    iou = torch.tensor([[0.8, 0.0, 0.4], [0.0, 0.0, 0.0]])
    labels, indices = ops.assign_boxes(iou, 0.7, 0.3, allow_low_quality=True)
    assert labels.tolist() == [1, 1, 1]
    assert indices.tolist() == [0, 0, 0]


def test_sample_keeps_the_share_and_fills_with_negatives() -> None:
    labels = torch.tensor([1] * 30 + [0] * 100 + [-1] * 20)
    positive, negative = ops.balanced_sample(labels, 40, 0.25)
    assert (len(positive), len(negative)) == (10, 30)
    assert labels[positive].eq(1).all()
    assert labels[negative].eq(0).all()
    assert len(torch.cat([positive, negative]).unique()) == 40
    few = ops.balanced_sample(labels[25:], 40, 0.25)
    assert [len(part) for part in few] == [5, 35]


def test_the_sample_is_smaller_if_boxes_run_out() -> None:
    labels = torch.tensor([1, 0, 0, -1])
    assert [len(part) for part in ops.balanced_sample(labels, 256, 0.5)] == [1, 2]
    none = labels[:0]
    assert [len(part) for part in ops.balanced_sample(none, 256, 0.5)] == [0, 0]


def test_sample_is_repeatable_and_spreads() -> None:
    labels = torch.zeros(50, dtype=torch.int64)
    samples = [
        ops.balanced_sample(labels, 10, 0.5, torch.Generator().manual_seed(seed))[1]
        for seed in (0, 0, *range(1, 60))
    ]
    assert torch.equal(samples[0], samples[1])
    assert len(torch.cat(samples).unique()) == 50


def test_class_labels_count_as_positive() -> None:
    positive, negative = ops.balanced_sample(torch.tensor([3, 0, 7]), 10, 0.5)
    assert sorted(positive.tolist()) == [0, 2]
    assert negative.tolist() == [1]
