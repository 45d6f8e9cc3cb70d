"""Average recall of class-agnostic proposals."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seglib.metrics import ProposalEvaluator, average_recall
from seglib.structures import Instances, Target
from tests.coco_reference import (
    CATEGORIES,
    SMALL_RANGES,
    random_scene,
    run_coco,
    to_coco,
)
from tests.modelling import masks_target


def squares(*corners_and_sides: tuple[int, int, int], size: int = 64) -> torch.Tensor:
    masks = torch.zeros(len(corners_and_sides), size, size, dtype=torch.bool)
    for mask, (x, y, side) in zip(masks, corners_and_sides, strict=True):
        mask[y : y + side, x : x + side] = True
    return masks


def target_of(masks: torch.Tensor) -> Target:
    return masks_target(masks, [1 + number % 3 for number in range(len(masks))])


def proposals_of(masks: torch.Tensor) -> Instances:
    n = len(masks)
    scores = torch.linspace(1, 0.1, n) if n else torch.zeros(0)
    return Instances(torch.zeros(n, 4), scores, torch.ones(n, dtype=torch.int64), masks)


def test_by_hand() -> None:
    """Two objects; only the eleventh proposal is good: its IoU of 0.8 passes 7 of 10 thresholds."""
    truth = squares((0, 0, 10), (40, 40, 20))
    elsewhere = squares(*[(20, 20, 5)] * 10)
    close = squares((0, 0, 10))
    close[0, :, 8:] = False
    proposals = proposals_of(torch.cat([elsewhere, close]))
    recall = average_recall([proposals], [target_of(truth)], CATEGORIES)
    assert recall["AR@10"] == 0.0
    assert recall["AR@100"] == recall["AR@1000"] == pytest.approx(0.5 * 7 / 10)
    assert recall["ARs@1000"] == pytest.approx(0.5 * 7 / 10)  # both are below 32² px
    assert recall["ARm@1000"] == recall["ARl@1000"] == -1


def test_labels_are_ignored_and_each_proposal_covers_one_object() -> None:
    truth = squares((0, 0, 10), (30, 30, 10))
    both = proposals_of(truth)
    assert average_recall([both], [target_of(truth)], CATEGORIES)["AR@10"] == 1.0
    merged = truth.any(dim=0, keepdim=True)
    half = average_recall([proposals_of(merged)], [target_of(truth)], CATEGORIES)
    assert half["AR@10"] == pytest.approx(0.5 * 1 / 10)  # IoU 1/2 with both, takes one at .50


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_equal_to_pycocotools_without_categories(iou_type: str) -> None:
    rng = np.random.default_rng(5)
    scenes = [random_scene(rng, image_id) for image_id in range(1, 31)]
    counts = (3, 5, 1000)
    reference = (
        run_coco(
            *to_coco(scenes, CATEGORIES, iou_type),
            iou_type,
            SMALL_RANGES,
            useCats=0,
            maxDets=counts,
        )
        .eval["recall"][:, 0]
        .mean(axis=0)
    )  # [A, M]
    ours = average_recall(*zip(*scenes, strict=True), CATEGORIES, iou_type, SMALL_RANGES, counts)
    assert ours["AR@5"] > ours["AR@3"] > 0
    np.testing.assert_allclose([ours[f"AR@{n}"] for n in counts], reference[0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(
        [ours[f"AR{s}@1000"] for s in "sml"], reference[1:, -1], rtol=0, atol=1e-9
    )


def test_more_than_a_thousand_proposals_are_cut_by_score() -> None:
    truth = squares((0, 0, 10))
    masks = torch.zeros(1001, 64, 64, dtype=torch.bool)
    masks[:, 30:35, 30:35] = True
    masks[-1] = truth[0]
    evaluator = ProposalEvaluator(CATEGORIES)
    evaluator.update(proposals_of(masks), target_of(truth))
    assert evaluator.compute()["AR@1000"] == 0.0
    evaluator = ProposalEvaluator(CATEGORIES)
    evaluator.update(proposals_of(masks[1:]), target_of(truth))
    assert evaluator.compute()["AR@1000"] == 1.0
