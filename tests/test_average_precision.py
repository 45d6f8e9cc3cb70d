"""Average precision: by hand, invariants, and equal to pycocotools on synthetic and real data."""

from __future__ import annotations

import contextlib
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import seglib
from seglib.data.datasets import load_dataset
from seglib.errors import SeglibError
from seglib.metrics import (
    COCO_AREA_RANGES,
    IOU_THRESHOLDS,
    APResult,
    CocoEvaluator,
    average_precision,
    average_recall,
    image_overlaps,
    interpolate_precision,
    match_detections,
    precision_recall,
)
from seglib.structures import Categories, Instances
from tests.coco_reference import (
    CATEGORIES,
    SMALL_RANGES,
    Scene,
    random_results,
    random_scene,
    read_coco,
    run_coco,
    to_coco,
)
from tests.helpers import GOLDEN, golden
from tests.modelling import boxes_target

STAT_NAMES = [f"AP{x}" for x in ("", 50, 75, "s", "m", "l")]
STAT_NAMES += [f"AR{x}" for x in (1, 10, 100, "s", "m", "l")]


def evaluated(scenes: list[Scene], categories: Categories, *args, **kwargs) -> APResult:
    evaluator = CocoEvaluator(categories, *args, **kwargs)
    for prediction, target in scenes:
        evaluator.update(prediction, target)
    return evaluator.compute()


def assert_equals_coco(ours: APResult, reference: COCOeval) -> None:
    """Every point of every curve, not only the summary."""
    theirs = reference.eval["precision"]  # [T, R, K, A, M]
    np.testing.assert_allclose(
        ours.precision, theirs[..., -1].transpose(2, 3, 0, 1), rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        ours.recall, reference.eval["recall"].transpose(1, 2, 0, 3), rtol=0, atol=1e-9
    )
    if len(reference.stats):
        assert list(ours.stats) == STAT_NAMES
        np.testing.assert_allclose(list(ours.stats.values()), reference.stats, rtol=0, atol=1e-9)


# ---- by hand ----


def test_five_detections_by_hand() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    true_positives = np.array([True, False, True, True, False])
    precision, recall = precision_recall(true_positives, ~true_positives, 4)
    np.testing.assert_allclose(precision, [1, 1 / 2, 2 / 3, 3 / 4, 3 / 5])
    np.testing.assert_allclose(recall, [1 / 4, 1 / 4, 1 / 2, 3 / 4, 3 / 4])
    read = interpolate_precision(precision, recall)
    # 26 points up to recall .25 read 1, 50 more up to .75 read 3/4, the other 25 read 0.
    assert read[:26].tolist() == [1.0] * 26
    assert read[26:76].tolist() == [0.75] * 50
    assert read[76:].tolist() == [0.0] * 25
    expected = (26 + 50 * 0.75) / 101
    assert average_precision(scores, true_positives, 4) == pytest.approx(expected, abs=1e-12)
    shuffled = [3, 0, 4, 2, 1]
    assert average_precision(scores[shuffled], true_positives[shuffled], 4) == pytest.approx(
        expected
    )


def test_ap_of_nothing() -> None:
    assert average_precision(np.array([0.5]), np.array([False]), 0) == -1
    assert average_precision(np.array([]), np.array([]), 3) == 0


def test_a_detection_takes_the_best_free_object() -> None:
    overlaps = np.array([[0.6, 0.9], [0.0, 0.8], [0.7, 0.85]])
    nothing = np.zeros((1, 2), dtype=bool)
    matches = match_detections(overlaps, nothing, nothing[0], np.array([0.5, 0.75]))
    # The second detection's only object is taken; at .75 the third one's is, too.
    assert matches.tolist() == [[[1, -1, 0], [1, -1, -1]]]


def test_objects_come_before_ignored_ones_and_crowds_match_repeatedly() -> None:
    overlaps = np.array([[0.6, 0.9], [0.9, 0.9], [0.0, 0.9]])
    crowd = np.array([False, True])
    matches = match_detections(overlaps, crowd[None], crowd, np.array([0.5]))
    assert matches.tolist() == [[[0, 1, 1]]]
    # An ignored object that is not a crowd is used up.
    matches = match_detections(overlaps, crowd[None], np.zeros(2, bool), np.array([0.5]))
    assert matches.tolist() == [[[0, 1, -1]]]


def test_overlap_with_a_crowd_is_the_share_of_the_detection() -> None:
    found = Instances(torch.tensor([[0.0, 0, 4, 4]]), torch.tensor([1.0]), torch.tensor([1]))
    thing = boxes_target((20, 20), [[2, 0, 12, 10]], [1])
    crowd = boxes_target((20, 20), [[2, 0, 12, 10]], [1], iscrowd=[True])
    assert image_overlaps(found, thing, "bbox").item() == 8 / (16 + 100 - 8)
    assert image_overlaps(found, crowd, "bbox").item() == 8 / 16


@pytest.mark.parametrize("case", ["basic", "normalized"])
def test_overlaps_with_crowds_golden(case: str) -> None:
    arrays = golden("box_iou")[case]
    detected, crowds = (torch.from_numpy(arrays["in"][name]) for name in ("boxes1", "boxes2"))
    found = Instances(detected, torch.ones(len(detected)), torch.ones(len(detected)).long())
    target = boxes_target((8, 8), [[0, 0, 1, 1]] * len(crowds), [1] * len(crowds))
    target.boxes, target.iscrowd = crowds, torch.ones(len(crowds), dtype=torch.bool)
    overlaps = image_overlaps(found, target, "bbox")
    np.testing.assert_allclose(overlaps, arrays["out"]["iof"], rtol=0, atol=1e-5)


def test_an_overlap_exactly_at_the_threshold_counts() -> None:
    target = boxes_target((1, 20), [[0, 0, 20, 1]], [1])
    mask = torch.ones(1, 1, 20, dtype=torch.bool)
    mask[..., 0] = False  # IoU 19/20
    found = Instances(torch.tensor([[1.0, 0, 20, 1]]), torch.tensor([1.0]), target.labels, mask)
    for iou_type in ("segm", "bbox"):
        assert evaluated([(found, target)], CATEGORIES, iou_type).stats["AP"] == 1.0


# ---- equal to pycocotools ----


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 2**31), iou_type=st.sampled_from(["segm", "bbox"]))
def test_random_scenes_equal_pycocotools(seed: int, iou_type: str) -> None:
    rng = np.random.default_rng(seed)
    scenes = [random_scene(rng, image_id) for image_id in range(1, 9)]
    reference = run_coco(*to_coco(scenes, CATEGORIES, iou_type), iou_type, SMALL_RANGES)
    assert_equals_coco(evaluated(scenes, CATEGORIES, iou_type, SMALL_RANGES), reference)


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
@pytest.mark.parametrize("max_detections", [(1, 2, 3), (2, 5, 40)])
def test_class_agnostic_and_other_counts_equal_pycocotools(iou_type, max_detections) -> None:
    rng = np.random.default_rng(7)
    scenes = [random_scene(rng, image_id) for image_id in range(1, 31)]
    truth = to_coco(scenes, CATEGORIES, iou_type)
    for agnostic in (False, True):
        reference = run_coco(
            *truth, iou_type, SMALL_RANGES, useCats=int(not agnostic), maxDets=max_detections
        )
        ours = evaluated(scenes, CATEGORIES, iou_type, SMALL_RANGES, max_detections, agnostic)
        assert_equals_coco(ours, reference)
        assert ours.recall.max() > 0.3


def test_order_of_images_does_not_matter_even_with_equal_scores() -> None:
    rng = np.random.default_rng(3)
    scenes = [random_scene(rng, image_id) for image_id in range(1, 21)]
    forward, backward = (evaluated(s, CATEGORIES) for s in (scenes, scenes[::-1]))
    assert forward.stats == backward.stats
    assert forward.stats["AP"] > 0


def test_the_scratch_bodies_give_the_same_figures() -> None:
    rng = np.random.default_rng(4)
    scenes = [random_scene(rng, image_id) for image_id in range(1, 6)]
    for iou_type in ("segm", "bbox"):
        with seglib.use("scratch"):
            scratch = evaluated(scenes, CATEGORIES, iou_type)
        assert scratch.stats == evaluated(scenes, CATEGORIES, iou_type).stats


def golden_scenes(case: str, iou_type: str) -> tuple[list[Scene], Categories]:
    truth = json.loads((GOLDEN / f"coco_eval/{case}_gt.json").read_text())
    results = json.loads((GOLDEN / f"coco_eval/{case}_dt_{iou_type}.json").read_text())
    return read_coco(truth, results, masks=iou_type == "segm")


@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
def test_golden(iou_type: str) -> None:
    recorded = json.loads((GOLDEN / "coco_eval/expected.json").read_text())["plain"]
    expected = recorded[iou_type]
    scenes, categories = golden_scenes("plain", iou_type)
    result = evaluated(scenes, categories, iou_type)
    assert list(result.stats) == recorded["stat_names"]
    np.testing.assert_allclose(list(result.stats.values()), expected["stats"], rtol=0, atol=1e-9)
    per_category = {str(c.coco_id): result.per_category[c.name] for c in categories}
    assert per_category == pytest.approx(expected["AP_per_category"], abs=1e-9)
    recall = average_recall(*zip(*scenes, strict=True), categories, iou_type)
    assert [recall[f"AR@{n}"] for n in (10, 100, 1000)] == pytest.approx(
        [expected["class_agnostic_AR"][n] for n in ("10", "100", "1000")], abs=1e-9
    )
    by_size = expected["class_agnostic_AR1000_by_size"]
    assert [recall[f"AR{s[0]}@1000"] for s in by_size] == pytest.approx(
        list(by_size.values()), abs=1e-9
    )


@pytest.mark.real_data
@pytest.mark.parametrize("iou_type", ["segm", "bbox"])
@pytest.mark.parametrize("split", ["val", "train"])
def test_real_coco_data_equals_pycocotools(split: str, iou_type: str) -> None:
    """The true objects come from our own reader, in float32; the detections are random."""
    folder = os.environ.get("SEGLIB_REAL_COCO")
    if not folder:
        pytest.skip("set SEGLIB_REAL_COCO to a COCO folder")
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(Path(folder) / f"annotations/instances_{split}2017.json"))
    results = random_results(coco, iou_type, np.random.default_rng(11))
    assert len(results) > 500
    dataset = load_dataset(f"coco:{folder}", split=split)
    images, categories = read_coco(coco.dataset, results, masks=iou_type == "segm")
    found = {target.image_id: prediction for prediction, target in images}
    assert dataset.categories.names[: len(categories)] == categories.names
    scenes = [(found[t.image_id], t) for t in (dataset[i][1] for i in range(len(dataset)))]

    ours = evaluated(scenes, categories, iou_type)
    assert_equals_coco(ours, run_coco(coco.dataset, results, iou_type))
    assert ours.stats["AP"] > 0.1
    agnostic = average_recall(*zip(*scenes, strict=True), categories, iou_type)
    reference = run_coco(coco.dataset, results, iou_type, useCats=0, maxDets=[10, 100, 1000])
    recall = reference.eval["recall"][:, 0].mean(axis=0)  # [A, M]
    np.testing.assert_allclose(
        [agnostic[f"AR@{n}"] for n in (10, 100, 1000)], recall[0], rtol=0, atol=1e-9
    )
    np.testing.assert_allclose(
        [agnostic[f"AR{s}@1000"] for s in "sml"], recall[1:, -1], rtol=0, atol=1e-9
    )


# ---- edges ----


def test_no_images_and_no_objects_are_undefined() -> None:
    assert set(CocoEvaluator(CATEGORIES).compute().stats.values()) == {-1.0}
    prediction, target = random_scene(np.random.default_rng(0), 1)
    empty = evaluated([(prediction, target[:0])], CATEGORIES)
    assert set(empty.stats.values()) == {-1.0}
    missed = evaluated([(prediction[:0], target[~target.iscrowd])], CATEGORIES)
    assert missed.stats["AP"] == 0.0


def test_half_precision_is_accepted() -> None:
    prediction, target = random_scene(np.random.default_rng(1), 1)
    halves = Instances(
        prediction.boxes.half(), prediction.scores.half(), prediction.labels, prediction.masks
    )
    assert evaluated([(halves, target)], CATEGORIES).stats == pytest.approx(
        evaluated([(prediction, target)], CATEGORIES).stats
    )


def test_errors_name_what_is_wrong() -> None:
    prediction, target = random_scene(np.random.default_rng(2), 9)
    assert len(prediction)
    two = Categories(list(CATEGORIES)[:2])
    prediction.labels[:] = 3
    with pytest.raises(SeglibError, match="image 9: predicted labels run 3…3"):
        CocoEvaluator(two).update(prediction, target)
    no_masks = Instances(prediction.boxes, prediction.scores, prediction.labels)
    with pytest.raises(SeglibError, match=r"Instances\.masks"):
        CocoEvaluator(CATEGORIES).update(no_masks, target)
    prediction.masks = prediction.masks[:, :-1]
    with pytest.raises(SeglibError, match="original size"):
        CocoEvaluator(CATEGORIES).update(prediction, target)
    twice = CocoEvaluator(CATEGORIES, "bbox")
    twice.update(prediction, target)
    with pytest.raises(SeglibError, match="image 9 was scored already"):
        twice.update(prediction, target)
    with pytest.raises(SeglibError, match="iou_type"):
        CocoEvaluator(CATEGORIES, "keypoints")


def test_coco_ranges_are_the_default() -> None:
    assert CocoEvaluator(CATEGORIES).area_ranges == COCO_AREA_RANGES
    assert COCO_AREA_RANGES["small"] == (0, 1024)
    assert COCO_AREA_RANGES["medium"] == (1024, 9216)


def test_ap_at_single_thresholds_averages_to_ap() -> None:
    """AP is the mean over ten thresholds; AP50 and AP75 are two of them."""
    result = APResult(
        stats={},
        per_category={},
        precision=np.linspace(1, 0.1, 10)[None, None, :, None] * np.ones((1, 1, 10, 101)),
        recall=np.zeros((1, 1, 10, 3)),
    )
    assert result.at(0.5) == pytest.approx(1.0)
    assert result.at(0.9) == pytest.approx(0.2)
    mean = np.mean([result.at(threshold) for threshold in IOU_THRESHOLDS])
    assert mean == pytest.approx(0.55)
    with pytest.raises(SeglibError, match=r"not at 0\.6"):
        result.at(0.62)
