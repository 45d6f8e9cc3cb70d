"""Panoptic quality: by hand, the golden set, void and crowds, classes that are not shared."""

from __future__ import annotations

import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.data.coco import CocoFolder
from seglib.metrics import PanopticEvaluator, evaluate
from seglib.metrics.panoptic_quality import ClassCount
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


def test_an_iou_of_one_half_is_not_a_match() -> None:
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


def test_a_segment_inside_a_crowd_of_its_class_is_not_a_false_positive() -> None:
    truth = panoptic([[1, 1, 2, 2, 2]], {1: 1, 2: 1}, crowds=(2,))
    found = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 1})
    assert figures_of(found, truth)["things"].pq == 1
    other = panoptic([[5, 5, 6, 6, 6]], {5: 1, 6: 2})
    result = figures_of(other, truth)
    assert (result["things"].pq, result["stuff"].pq) == (1, 0)


def test_without_true_and_predicted_segments_it_is_undefined() -> None:
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


def counts_by_pixels(prediction: Panoptic, truth: Panoptic) -> dict[int, ClassCount]:
    """The definition, with segments as sets of pixels."""

    def pixels(panoptic: Panoptic) -> list[set[int]]:
        flat = panoptic.segment_map.flatten()
        return [set((flat == number).nonzero().flatten().tolist()) for number in panoptic.ids]

    true, found = pixels(truth), pixels(prediction)
    void = set(range(truth.segment_map.numel())).difference(*true)
    counts: dict[int, ClassCount] = {1: ClassCount(), 2: ClassCount()}
    matched_true, matched_found = set(), set()
    for t, area in enumerate(true):
        for p, other in enumerate(found):
            if truth.iscrowd[t] or truth.labels[t] != prediction.labels[p]:
                continue
            iou = len(area & other) / len((area | other) - (other & void))
            if iou > 0.5:
                label = int(truth.labels[t])
                counts[label].true_positives += 1
                counts[label].iou_sum += iou
                matched_true.add(t)
                matched_found.add(p)
    for t in set(range(len(true))) - matched_true:
        counts[int(truth.labels[t])].false_negatives += not truth.iscrowd[t]
    for p in set(range(len(found))) - matched_found:
        label = int(prediction.labels[p])
        excused = void.union(
            *(true[t] for t in range(len(true)) if truth.iscrowd[t] and truth.labels[t] == label)
        )
        counts[label].false_positives += len(found[p] & excused) <= len(found[p]) / 2
    return counts


@pytest.mark.parametrize("seed", range(20))
def test_random_maps_are_counted_as_defined(seed: int) -> None:
    """Blocky maps with void and a crowd; the prediction is moved, and one segment relabelled."""
    generator = torch.Generator().manual_seed(seed)
    blocks = torch.randint(0, 6, (3, 4), generator=generator)
    segment_map = blocks.repeat_interleave(4, 0).repeat_interleave(4, 1)
    moved = segment_map.roll((1, seed % 2), (0, 1))
    ids = segment_map.unique()
    ids = ids[ids > 0]
    labels = torch.randint(1, 3, (len(ids),), generator=generator)
    crowd = torch.zeros(len(ids), dtype=torch.bool)
    crowd[-1] = True
    predicted = labels.clone()
    predicted[0] = 3 - predicted[0]
    truth = Panoptic(segment_map, ids, labels, crowd)
    prediction = Panoptic(moved, ids, predicted, torch.zeros_like(crowd))
    evaluator = PanopticEvaluator(two_classes())
    evaluator.update(prediction, truth)
    for label, expected in counts_by_pixels(prediction, truth).items():
        found = evaluator.counts[label]
        assert found.iou_sum == pytest.approx(expected.iou_sum)
        assert replace(found, iou_sum=0) == replace(expected, iou_sum=0)


# What panopticapi's evaluation gives for the maps that `disturbed` makes of its two sample images:
# mean PQ, SQ and RQ, and the number of classes.
SAMPLE = {
    "all": (0.34058080474229685, 0.392421963308419, 0.465564738292011, 11),
    "things": (0.23774018687144802, 0.3327823109093387, 0.35353535353535354, 6),
    "stuff": (0.4639895461873154, 0.4639895461873154, 0.6, 5),
}


def disturbed(truth: Panoptic, categories: Categories) -> Panoptic:
    """The map moved by 3 rows and 5 columns, some segments of the next class, some left out."""
    rows = torch.arange(len(truth))
    labels = torch.where(rows % 7 == 3, truth.labels % len(categories) + 1, truth.labels)
    moved = truth.segment_map.roll((3, 5), (0, 1))
    kept = rows % 7 != 5
    moved = moved.where(torch.isin(moved, truth.ids[kept]), 0)
    return Panoptic(moved, truth.ids[kept], labels[kept], torch.zeros(int(kept.sum())).bool())


@pytest.mark.real_data
@pytest.mark.skipif("SEGLIB_REAL_COCO" not in os.environ, reason="SEGLIB_REAL_COCO is not set")
def test_figures_of_real_maps_are_those_of_panopticapi(tmp_path: Path) -> None:
    """panopticapi's own sample, in the folder panoptic-sample; it has no instance annotations."""
    sample = Path(os.environ["SEGLIB_REAL_COCO"]) / "panoptic-sample"
    panoptic_json = sample / "panoptic_examples.json"
    content = json.loads(panoptic_json.read_text())
    instances = {"images": content["images"], "annotations": []}
    instances["categories"] = [c for c in content["categories"] if c["isthing"]]
    (tmp_path / "instances.json").write_text(json.dumps(instances))
    data = CocoFolder(
        sample / "val2017",
        tmp_path / "instances.json",
        (panoptic_json, sample / "panoptic_examples"),
    )
    perfect, evaluator = PanopticEvaluator(data.categories), PanopticEvaluator(data.categories)
    for _, target in data:
        assert target.panoptic is not None
        perfect.update(replace(target.panoptic), target.panoptic)
        evaluator.update(disturbed(target.panoptic, data.categories), target.panoptic)
    assert len(data) == 2
    assert perfect.compute()["all"].pq == 1
    for kind, quality in evaluator.compute().items():
        found = (quality.pq, quality.sq, quality.rq, quality.classes)
        assert found == pytest.approx(SAMPLE[kind], abs=1e-12)


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
