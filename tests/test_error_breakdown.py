"""Errors of detectors: each kind by hand, what repairs gain, crowds, invariants, the command."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seglib import SeglibError, plotting
from seglib.metrics import CocoEvaluator, ErrorEvaluator, judge_detections
from seglib.metrics.error_breakdown import ERRORS
from seglib.plotting.canvas import Canvas
from seglib.plotting.error_bars import SHADES
from seglib.plotting.style import as_bytes
from seglib.structures import Instances, Target
from tests.coco_reference import CATEGORIES, random_scene
from tests.figures import words
from tests.helpers import run_cli
from tests.modelling import boxes_target

CAT, DOG = 1, 2


def strip(*detections: tuple[float, int, int, int], width: int = 40) -> Instances:
    """Detections (score, label, first column, last column + 1) in an image of one row."""
    masks = torch.zeros(len(detections), 1, width, dtype=torch.bool)
    for mask, (_, _, start, stop) in zip(masks, detections, strict=True):
        mask[0, start:stop] = True
    return Instances(
        boxes=torch.tensor([[start, 0, stop, 1] for _, _, start, stop in detections]).view(-1, 4),
        scores=torch.tensor([score for score, *_ in detections]),
        labels=torch.tensor([label for _, label, *_ in detections], dtype=torch.int64),
        masks=masks,
    )


def truth(*objects: tuple[int, int, int], crowd: int = 0, image_id: int = 0) -> Target:
    """Objects (label, first column, last column + 1); the last `crowd` are crowds."""
    return boxes_target(
        (1, 40),
        [(start, 0, stop, 1) for _, start, stop in objects],
        [label for label, *_ in objects],
        iscrowd=[n >= len(objects) - crowd for n in range(len(objects))],
        image_id=image_id,
    )


def breakdown(found: Instances, target: Target, best: int | None = None):
    evaluator = ErrorEvaluator()
    evaluator.update(found, target)
    return evaluator.compute(best)


# ---- each kind by hand ----


@pytest.mark.parametrize(
    ("label", "overlap", "kind", "about"),
    [
        (CAT, [0.5, 0.0], "correct", 0),
        (CAT, [0.49, 0.0], "localisation", 0),
        (CAT, [0.1, 0.0], "localisation", 0),
        (CAT, [0.09, 0.0], "background", -1),
        (DOG, [0.5, 0.0], "classification", 0),
        (DOG, [0.49, 0.0], "both", -1),
        (DOG, [0.1, 0.0], "both", -1),
        (DOG, [0.09, 0.0], "background", -1),
        (CAT, [0.3, 0.7], "localisation", 0),  # also overlaps a dog: the order decides
        (CAT, [0.0, 0.7], "classification", 1),
    ],
)
def test_one_detection_by_its_overlaps_with_a_cat_and_a_dog(label, overlap, kind, about):
    kinds, objects = judge_detections(
        np.array([overlap]), np.array([label]), np.array([CAT, DOG]), np.zeros(2, dtype=bool)
    )
    assert (kinds.tolist(), objects.tolist()) == ([kind], [about])


def test_the_second_detection_of_an_object_is_a_duplicate():
    overlaps = np.array([[0.6], [0.9]])  # the first has the higher score and takes the cat
    kinds, objects = judge_detections(
        overlaps, np.array([CAT, CAT]), np.array([CAT]), np.zeros(1, dtype=bool)
    )
    assert (kinds.tolist(), objects.tolist()) == (["correct", "duplicate"], [0, 0])


def test_without_objects_everything_is_background():
    kinds, objects = judge_detections(
        np.zeros((2, 0)), np.array([CAT, DOG]), np.zeros(0, np.int64), np.zeros(0, dtype=bool)
    )
    assert (kinds.tolist(), objects.tolist()) == (["background"] * 2, [-1, -1])


def test_thresholds_can_be_chosen():
    overlaps, labels, own = np.array([[0.3]]), np.array([CAT]), np.array([CAT])
    kinds, _ = judge_detections(overlaps, labels, own, np.zeros(1, dtype=bool), foreground=0.3)
    assert kinds.tolist() == ["correct"]
    kinds, _ = judge_detections(overlaps, labels, own, np.zeros(1, dtype=bool), background=0.31)
    assert kinds.tolist() == ["background"]


@pytest.mark.parametrize("thresholds", [(0.5, 0.6), (1.1, 0.1), (0.5, -0.1)])
def test_impossible_thresholds_are_refused(thresholds):
    with pytest.raises(SeglibError, match="0 ≤ background ≤ foreground ≤ 1"):
        ErrorEvaluator("segm", *thresholds)


# ---- counts and repairs by hand ----


def test_a_strip_with_one_error_of_each_kind():
    target = truth((CAT, 0, 10), (DOG, 10, 20), (CAT, 20, 30), (DOG, 30, 34))
    found = strip(
        (0.9, CAT, 0, 10),  # correct
        (0.8, CAT, 0, 8),  # duplicate of it
        (0.7, CAT, 10, 20),  # classification: this is the dog
        (0.6, CAT, 26, 34),  # localisation: 4 of 14 pixels of the second cat
        (0.5, DOG, 16, 24),  # localisation: 4 of 14 pixels of the first dog
        (0.4, CAT, 34, 40),  # background
    )
    result = breakdown(found, target)
    assert (result.detections, result.objects, result.correct, result.missed) == (6, 4, 1, 1)
    assert result.errors == {
        "classification": 1,
        "localisation": 2,
        "both": 0,
        "duplicate": 1,
        "background": 1,
    }


def ap(*flags: bool, objects: int) -> float:
    """AP of one class from its detections, best first."""
    precision = np.cumsum(flags) / np.arange(1, len(flags) + 1)
    recall = np.cumsum(flags) / objects
    return float(
        np.mean([max(precision[recall >= r], default=0.0) for r in np.linspace(0, 1, 101)])
    )


def test_the_gain_of_each_repair():
    target = truth((CAT, 0, 10), (DOG, 10, 20), (DOG, 30, 34))
    found = strip(
        (0.9, CAT, 36, 40),  # background
        (0.8, CAT, 0, 10),  # correct
        (0.7, CAT, 10, 20),  # classification
    )
    result = breakdown(found, target)
    before = (ap(False, True, False, objects=1) + 0) / 2
    assert result.ap == pytest.approx(before)
    repaired = (ap(False, True, objects=1) + ap(True, objects=2)) / 2
    assert result.gains["classification"] == pytest.approx(repaired - before)
    assert result.gains["background"] == pytest.approx((1.0 + 0) / 2 - before)
    # One dog is missed, the other one is what the classification error is about: one remains.
    assert (result.missed, result.gains["missed"]) == (1, pytest.approx(0))
    assert result.gains["duplicate"] == result.gains["localisation"] == result.gains["both"] == 0


def test_only_the_best_of_several_repaired_detections_counts():
    target = truth((CAT, 0, 10))
    found = strip((0.9, CAT, 6, 14), (0.8, CAT, 6, 15))  # two localisation errors
    result = breakdown(found, target)
    assert result.errors["localisation"] == 2
    assert result.gains["localisation"] == pytest.approx(1.0)  # no duplicate remains


def test_repairing_an_error_about_an_object_that_is_found_removes_it():
    target = truth((CAT, 0, 10))
    found = strip((0.9, DOG, 0, 10), (0.8, CAT, 0, 10), (0.7, CAT, 8, 20))
    result = breakdown(found, target)
    assert (result.errors["classification"], result.errors["localisation"]) == (1, 1)
    assert result.ap == 1  # the dog's class has no object, the second cat ranks below the first
    assert result.gains["classification"] == result.gains["localisation"] == 0


def test_repairing_missed_objects_removes_them_from_the_objects_to_find():
    target = truth((CAT, 0, 10), (CAT, 20, 30))
    result = breakdown(strip((0.9, CAT, 0, 10)), target)
    assert result.missed == 1
    assert result.gains["missed"] == pytest.approx(1 - ap(True, objects=2))


def test_the_best_detections_of_all_images_are_judged():
    evaluator = ErrorEvaluator()
    evaluator.update(strip((0.9, CAT, 0, 10), (0.2, CAT, 20, 30)), truth((CAT, 0, 10), image_id=1))
    evaluator.update(strip((0.5, DOG, 0, 10)), truth((DOG, 0, 10), image_id=2))
    assert evaluator.objects == 2
    assert evaluator.compute(best=1).missed == 1
    assert [found.tolist() for found in evaluator.found(best=1)] == [[True], [False]]
    assert evaluator.lowest_score(best=2) == pytest.approx(0.5)
    assert math.isnan(evaluator.lowest_score(best=0))
    both = evaluator.compute(best=evaluator.objects)
    assert (both.detections, both.correct, both.missed, both.ap) == (2, 2, 0, 1)
    assert evaluator.compute().errors["background"] == 1


def test_nothing_detected_and_nothing_to_find():
    empty = breakdown(strip(), truth((CAT, 0, 10)))
    assert (empty.detections, empty.missed, empty.ap) == (0, 1, 0)
    nothing = ErrorEvaluator().compute()
    assert (nothing.detections, nothing.objects, nothing.missed) == (0, 0, 0)
    assert json.dumps(nothing.to_dict(), allow_nan=False)
    assert ErrorEvaluator().found() == []


# ---- crowds, as in COCO ----


def test_a_detection_in_a_crowd_is_neither_correct_nor_an_error():
    target = truth((CAT, 0, 10), (CAT, 20, 40), crowd=1)
    found = strip((0.9, CAT, 0, 10), (0.8, CAT, 22, 25), (0.7, CAT, 30, 33))
    result = breakdown(found, target)
    assert (result.detections, result.objects, result.correct, result.missed) == (1, 1, 1, 0)
    assert sum(result.errors.values()) == 0


def test_another_class_in_a_crowd_is_background():
    result = breakdown(strip((0.8, DOG, 22, 25)), truth((CAT, 20, 40), crowd=1))
    assert result.errors["background"] == 1


# ---- invariants ----


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), best=st.sampled_from([None, 0, 3, 8]))
def test_each_detection_is_counted_once_and_ap_equals_coco_s(seed, best):
    generator = np.random.default_rng(seed)
    evaluator, coco = ErrorEvaluator(), CocoEvaluator(CATEGORIES)
    objects = 0
    for image_id in range(3):
        found, target = random_scene(generator, image_id)
        evaluator.update(found, target)
        coco.update(found, target)
        objects += int((~target.to_find.iscrowd).sum())
    result = evaluator.compute(best)
    assert result.correct + sum(result.errors.values()) == result.detections
    assert result.detections <= (1000 if best is None else best)
    assert result.correct + result.missed <= result.objects == objects
    assert sum(int(row.sum()) for row in evaluator.found(best)) == result.correct
    assert list(result.gains) == [*ERRORS, "missed"]
    removing = ("both", "duplicate", "background")
    assert all(result.gains[kind] >= -1e-9 for kind in removing if objects)
    if best is None and objects:
        assert result.ap == pytest.approx(coco.compute().at(0.5), abs=1e-12)


# ---- the figure and the command ----


def test_the_figure_shows_counts_and_gains():
    target = truth((CAT, 0, 10), (DOG, 10, 20))
    results = {
        "good": breakdown(strip((0.9, CAT, 0, 10), (0.8, DOG, 10, 20)), target),
        "bad": breakdown(strip((0.9, DOG, 0, 10), (0.8, DOG, 30, 40)), target),
        "silent": breakdown(strip(), target),
    }
    fig = plotting.show_errors(results)
    fig.pixels()  # tick labels are made when a figure is drawn
    assert {"good", "bad", "silent", "correct", "missed", *ERRORS} <= set(words(fig))
    widths = [bar.get_width() for bar in fig.axes[0].patches]
    assert sum(widths) == 4  # two detections of each model that has any
    assert plotting.show_errors({"nothing": ErrorEvaluator().compute()})


def test_errors_are_named_on_the_image():
    target = truth((CAT, 0, 10), (DOG, 10, 20), (DOG, 30, 34), (CAT, 36, 40), crowd=1)
    found = strip((0.5, CAT, 20, 28), (0.9, CAT, 0, 10), (0.8, CAT, 10, 20), (0.7, CAT, 36, 40))
    image = torch.full((3, 1, 40), 0.5)
    fig = plotting.show_judged(image, {"some": found, "none": strip()}, target)
    assert [axes.get_title() for axes in fig.axes[:3]] == ["Image", "some", "none"]
    some, none = (axes.images[0].get_array() for axes in fig.axes[1:3])
    assert not np.array_equal(some, none)


def test_a_judged_mask_has_the_colour_that_its_kind_has_in_the_bars():
    target = boxes_target((40, 40), [(0, 0, 40, 20)], [CAT])
    image = torch.full((3, 40, 40), 0.5)
    for kind, rows in (("correct", 20), ("localisation", 8)):
        masks = torch.zeros(1, 40, 40, dtype=torch.bool)
        masks[:, :rows] = True
        found = Instances(target.boxes, torch.tensor([0.9]), target.labels, masks)
        axes = plotting.show_judged(image, {"one": found}, target).axes[1]
        pixels = np.asarray(axes.images[0].get_array())
        assert (pixels == as_bytes(SHADES[kind])).all(axis=-1).any(), kind


def test_errors_on_the_image_name_the_predicted_class_and_missed_objects_the_true_one(monkeypatch):
    written: list[str] = []
    monkeypatch.setattr(Canvas, "_write", lambda self, text, *_: written.append(text))
    target = truth((CAT, 0, 10), (DOG, 10, 20), (DOG, 30, 34))
    found = strip((0.9, CAT, 0, 10), (0.8, CAT, 10, 20))
    image = torch.full((3, 1, 40), 0.5)
    fig = plotting.show_judged(image, {"some": found}, target, CATEGORIES)
    assert written == [CATEGORIES.by_label(label).name for label in (CAT, DOG)]
    assert {"correct", "classification", "missed"} <= set(words(fig))
    plotting.show_judged(image, {"some": found}, target)
    assert written[2:] == [str(CAT), str(DOG)]


# Machado and others (2009), "A physiologically-based model for simulation of color vision
# deficiency", table 1, severity 1: what linear red, green and blue look like.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "deuteranopia": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "tritanopia": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}


def cielab(shade: str, vision: object) -> np.ndarray:
    """CIE L*a*b* [3] of a colour as someone sees it."""
    srgb = np.array(as_bytes(shade)) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(np.asarray(vision) @ linear, 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x, y, z = np.cbrt(np.asarray(to_xyz) @ seen / (0.9505, 1, 1.089))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_kinds_of_errors_have_colours_that_everyone_can_tell_apart(vision):
    seen = {kind: cielab(SHADES[kind], VISION[vision]) for kind in (*ERRORS, "missed")}
    for one, other in itertools.combinations(seen, 2):
        assert np.linalg.norm(seen[one] - seen[other]) > 20, (one, other)


def test_eval_prints_the_errors(tmp_path):
    report = tmp_path / "figures.json"
    result = run_cli("eval", "yolact", "--limit", 1, "--summary", "--errors", "--json", report)
    assert result.exit_code == 0, result.output
    for kind in ("correct", *ERRORS, "missed"):
        assert kind in result.stdout
    errors = json.loads(report.read_text())["errors"]
    assert errors["best"]["detections"] == errors["best"]["objects"] > 0
    assert errors["all"]["ap"] == pytest.approx(
        json.loads(report.read_text())["figures"]["mask_AP50"]
    )


def test_eval_errors_needs_instances():
    refused = run_cli("eval", "fcn", "--limit", 1, "--errors")
    assert refused.exit_code == 1
    assert "instances" in refused.output
