"""Panoptic quality: by hand, the golden set, void and crowds, classes that are not shared."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.metrics import PanopticEvaluator, evaluate
from seglib.metrics.shared_classes import SharedClasses
from seglib.structures import Categories, Category, Panoptic, Prediction
from tests.helpers import golden_tensors
from tests.modelling import semantic_target


def two_classes() -> Categories:
    return Categories([Category(1, 1, "cat"), Category(2, 2, "sky", is_thing=False)])


def panoptic(rows: list[list[int]], labels: dict[int, int], crowds: tuple[int, ...] = ()):
    """A map from its rows, and segment id → label."""
    ids = torch.tensor(list(labels), dtype=torch.int64)
    values = torch.tensor(list(labels.values()), dtype=torch.int64)
    return Panoptic(torch.tensor(rows), ids, values, torch.tensor([i in crowds for i in labels]))


def figures_of(prediction: Panoptic, truth: Panoptic) -> dict:
    evaluator = PanopticEvaluator(two_classes())
    evaluator.update(prediction, truth)
    return evaluator.compute()


def test_by_hand() -> None:
    truth = panoptic([[1, 1, 1, 2, 2, 2], [3, 3, 3, 3, 3, 3]], {1: 1, 2: 1, 3: 2})
    found = panoptic([[7, 7, 8, 8, 8, 8], [9, 9, 9, 9, 9, 9]], {7: 1, 8: 1, 9: 2})
    result = figures_of(found, truth)
    # Cats: IoU 2/3 and 3/4, both found; sky is perfect.
    assert result["things"].pq == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert (result["things"].rq, result["stuff"].pq) == (1, 1)
    assert result["all"].pq == pytest.approx(((2 / 3 + 3 / 4) / 2 + 1) / 2)
    assert result["all"].classes == 2


def test_an_iou_of_one_half_is_no_match() -> None:
    truth = panoptic([[1, 1, 2, 2]], {1: 1, 2: 2})
    found = panoptic([[1, 1, 1, 1]], {1: 1})
    result = figures_of(found, truth)
    assert (result["things"].pq, result["things"].sq, result["things"].rq) == (0, 0, 0)
    assert result["stuff"].pq == 0  # not found


def test_void_pixels_do_not_count_against_a_prediction() -> None:
    truth = panoptic([[1, 1, 0, 0, 0]], {1: 1})
    assert figures_of(panoptic([[5, 5, 5, 0, 0]], {5: 1}), truth)["things"].pq == 1
    mostly_void = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 1})
    assert figures_of(mostly_void, truth)["things"].pq == 1
    other_class = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 2})
    assert math.isnan(figures_of(other_class, truth)["stuff"].pq)


def test_a_segment_inside_a_crowd_of_its_class_is_excused() -> None:
    truth = panoptic([[1, 1, 2, 2, 2]], {1: 1, 2: 1}, crowds=(2,))
    found = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 1})
    assert figures_of(found, truth)["things"].pq == 1
    other = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 2})
    result = figures_of(other, truth)
    assert (result["things"].pq, result["stuff"].pq) == (1, 0)


def test_nothing_there_and_nothing_predicted_is_undefined() -> None:
    nothing = panoptic([[0, 0]], {})
    assert math.isnan(figures_of(nothing, nothing)["all"].pq)
    with pytest.raises(SeglibError, match="must have the same size"):
        figures_of(nothing, panoptic([[0]], {}))


def test_golden() -> None:
    _, given, out = golden_tensors("panoptic_quality", "basic")
    rows = given["categories"].tolist()
    categories = Categories(
        Category(label, coco_id, f"class{coco_id}", is_thing=bool(thing))
        for label, (coco_id, thing) in enumerate(rows, start=1)
    )
    evaluator = PanopticEvaluator(categories)

    def labels(ids: Tensor) -> Tensor:
        return torch.tensor([categories.by_coco_id(i).label for i in ids.tolist()])

    for image in range(2):
        true, predicted = given[f"gt_segments_{image}"], given[f"pred_segments_{image}"]
        none = torch.zeros(len(predicted), dtype=torch.bool)
        evaluator.update(
            Panoptic(given[f"pred_map_{image}"], predicted[:, 0], labels(predicted[:, 1]), none),
            Panoptic(given[f"gt_map_{image}"], true[:, 0], labels(true[:, 1]), true[:, 2].bool()),
        )
    for row, iou_sum, quality in zip(
        out["per_class"].tolist(),
        out["per_class_iou_sum"].tolist(),
        out["per_class_pq"].tolist(),
        strict=True,
    ):
        count = evaluator.counts[categories.by_coco_id(row[0]).label]
        found = (count.true_positives, count.false_positives, count.false_negatives)
        assert found == tuple(row[1:])
        assert count.iou_sum == pytest.approx(iou_sum, abs=1e-6)
        assert count.quality == pytest.approx(quality, abs=1e-6)
    for kind, quality in evaluator.compute().items():
        expected = out[f"{kind}_pq_sq_rq"].tolist()
        assert (quality.pq, quality.sq, quality.rq) == pytest.approx(expected, abs=1e-6)
        assert quality.classes == int(out[f"{kind}_num_classes"])


def test_segments_of_classes_that_are_not_shared_become_void() -> None:
    other = Categories([Category(1, 2, "sky", is_thing=False), Category(2, 9, "dog")])
    shared = SharedClasses(other, two_classes())
    found = shared.predicted_panoptic(panoptic([[4, 5]], {4: 1, 5: 2}))
    assert (found.segment_map.tolist(), found.labels.tolist()) == ([[4, 0]], [1])
    target = semantic_target(torch.zeros(1, 2).long())
    assert shared.true_panoptic(target) is None
    target.panoptic = panoptic([[1, 2]], {1: 1, 2: 2})
    truth = shared.true_panoptic(target)
    assert (truth.segment_map.tolist(), truth.labels.tolist()) == ([[0, 2]], [1])


class Maps:
    """Two images; the second has no panoptic map."""

    name, categories, area_ranges = "maps", two_classes(), {"all": (0, 1e10)}

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int):
        target = semantic_target(torch.ones(1, 4).long())
        target.image_id = index
        if index == 0:
            target.panoptic = panoptic([[1, 1, 1, 2]], {1: 1, 2: 2})
        return torch.rand(3, 1, 4), target


class Sees:
    """Predicts one map for every image."""

    name, tasks, categories = "sees", ("panoptic",), two_classes()

    def predict(self, images):
        found = panoptic([[1, 1, 1, 1]], {1: 1})
        return [Prediction((1, 4), self.categories, panoptic=found) for _ in images]


def test_evaluate_knows_the_task_and_names_images_without_a_map() -> None:
    result = evaluate(Sees(), Maps())
    assert result.figures["PQ"] == pytest.approx((3 / 4 + 0) / 2)
    assert result.figures["PQ_things"] == pytest.approx(3 / 4)
    assert result.figures["RQ_stuff"] == 0
    assert result.per_class["PQ"] == {"cat": pytest.approx(3 / 4), "sky": 0}
    assert result.notes == ["images without a panoptic map, which PQ leaves out: 1"]
