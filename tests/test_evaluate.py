"""Scoring a model: the figures of its tasks, and classes compared by name."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

import pytest
import torch
from rich.console import Console
from torch import Tensor

from seglib.errors import SeglibError
from seglib.metrics import Metrics, evaluate
from seglib.models.base import OutputForm, Segmenter
from seglib.models.config import ModelConfig
from seglib.structures import Categories, Instances, Prediction, Target
from tests.toy_dataset import TOY_CATEGORIES, ToyDataset


class Oracle(Segmenter):
    """Predicts the truth, in its own categories; `spoil` makes the predictions worse."""

    name = "oracle"
    tasks = ("semantic", "instances", "proposals")

    def __init__(self, dataset: ToyDataset, categories: Categories = TOY_CATEGORIES, spoil=None):
        super().__init__(ModelConfig(), categories)
        self.truth = [dataset[i][1] for i in range(len(dataset))]
        self.spoil = spoil
        self.asked: list[int] = []
        self.mine = torch.zeros(256, dtype=torch.int64)
        for theirs, own in dataset.categories.shared_with(categories).items():
            self.mine[theirs] = own

    def forward(self, images: Sequence[Tensor]) -> None:
        return None

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        return {}

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        start = sum(self.asked)
        self.asked.append(len(images))
        return [self.answer(self.truth[start + i]) for i in range(len(images))]

    @property
    def output_form(self) -> OutputForm:
        return OutputForm("a perfect oracle")

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        return self.answer(target)

    def answer(self, target: Target) -> Prediction:
        labels = self.mine[target.labels]
        known = labels > 0
        scores = torch.linspace(1, 0.5, len(target))
        found = Instances(target.boxes, scores, labels, target.masks)
        prediction = Prediction(
            target.size,
            self.categories,
            instances=found[known],
            proposals=Instances(target.boxes, scores, torch.ones_like(labels), target.masks),
            semantic=self.mine[target.semantic] if target.semantic is not None else None,
        )
        if self.spoil:
            self.spoil(prediction)
        return prediction


def categories_named(*names: str) -> Categories:
    return Categories.from_coco({"id": i + 100, "name": n} for i, n in enumerate(names))


def test_perfect_predictions_score_one_everywhere() -> None:
    dataset = ToyDataset(3)
    metrics = evaluate(Oracle(dataset), dataset)
    undefined = {name for name, value in metrics.figures.items() if math.isnan(value)}
    assert undefined == set()
    # One detection per image cannot find two objects of a class.
    limited = {"mask_AR1", "box_AR1"}
    assert {v for n, v in metrics.figures.items() if n not in limited} == {1.0}
    assert metrics.figures["mask_AR1"] == 0.5
    assert len(metrics.figures) == 4 + 13 + 13 + 6 + 6  # AP90 beside the twelve
    assert metrics.notes == []
    assert metrics.per_class["iou"] == {"background": 1, "disc": 1, "square": 1, "sea": 1}
    assert metrics.per_class["mask_AP"]["disc"] == 1.0
    assert math.isnan(metrics.per_class["mask_AP"]["sea"])  # it has no objects
    assert (metrics.model, metrics.dataset, metrics.images) == ("oracle", "toy", 3)


def test_figures_fall_when_predictions_are_spoiled() -> None:
    def spoil(prediction: Prediction) -> None:
        prediction.semantic[:20] = 0
        prediction.instances = prediction.instances[:2]
        prediction.proposals = prediction.proposals[:1]

    dataset = ToyDataset(3)
    figures = evaluate(Oracle(dataset, spoil=spoil), dataset).figures
    assert 0 < figures["mean_iou"] < 1
    assert figures["mask_AR100"] == 0.5
    assert figures["mask_AR@10"] == 0.25


def test_only_the_models_tasks_are_scored() -> None:
    dataset = ToyDataset(2, semantic=False)
    model = Oracle(dataset)
    model.tasks = ("instances",)
    figures = evaluate(model, dataset).figures
    assert set(figures) == {n for n in figures if n.startswith(("mask_", "box_"))}
    assert len(figures) == 2 * 13


def test_a_task_that_no_scorer_knows_is_refused_by_name() -> None:
    dataset = ToyDataset(2)
    model = Oracle(dataset)
    model.tasks = ("semantic", "depth")
    with pytest.raises(SeglibError, match="oracle: the task 'depth' cannot be scored yet"):
        evaluate(model, dataset)
    assert model.asked == []  # nothing was predicted in vain


def test_without_masks_only_boxes_are_scored() -> None:
    def spoil(prediction: Prediction) -> None:
        prediction.instances.masks = None

    dataset = ToyDataset(2)
    model = Oracle(dataset, spoil=spoil)
    model.tasks = ("instances",)
    metrics = evaluate(model, dataset)
    assert metrics.figures["box_AP"] == 1.0
    assert set(metrics.per_class) == {"box_AP"}


def test_categories_of_the_same_names_in_another_order_are_all_compared() -> None:
    dataset = ToyDataset(2)
    metrics = evaluate(Oracle(dataset, categories_named("sea", "square", "disc")), dataset)
    assert metrics.notes == []
    assert metrics.figures["mean_iou"] == 1.0
    assert metrics.figures["mask_AP"] == 1.0


def test_only_shared_classes_are_scored_and_the_notes_name_them() -> None:
    dataset = ToyDataset(2)
    model = Oracle(dataset, categories_named("bear", "square", "dog"))
    metrics = evaluate(model, dataset)
    # True pixels of classes that the model does not know are ignored.
    assert metrics.figures["mean_iou"] == 1.0
    assert set(metrics.per_class["iou"]) == {"background", "square"}
    assert metrics.per_class["box_AP"] == {"square": 1.0}
    assert metrics.figures["mask_AR@10"] == 1.0  # proposals have no classes: every object counts
    (note,) = metrics.notes
    assert note == (
        "scored on the 1 class that the model (3) and the data set (3) share by name: square"
    )


def test_predictions_of_unshared_classes_become_background_or_are_dropped() -> None:
    def spoil(prediction: Prediction) -> None:
        prediction.semantic[prediction.semantic == 2] = 1  # every square is labelled a bear
        prediction.instances.labels[:] = 1

    dataset = ToyDataset(2)
    metrics = evaluate(Oracle(dataset, categories_named("bear", "square"), spoil), dataset)
    assert metrics.per_class["iou"]["square"] == 0.0
    assert 0 < metrics.per_class["iou"]["background"] < 1
    assert metrics.figures["mask_AP"] == 0.0


def test_notes_of_the_data_set_are_passed_on() -> None:
    dataset = ToyDataset(2)
    dataset.notes = ["two images have no annotations"]
    metrics = evaluate(Oracle(dataset, categories_named("square")), dataset)
    assert metrics.notes[0] == "two images have no annotations"
    assert len(metrics.notes) == 2


def test_without_objects_to_find_a_note_says_so() -> None:
    class Crowds(ToyDataset):
        def __getitem__(self, index: int) -> tuple[Tensor, Target]:
            image, target = super().__getitem__(index)
            target.iscrowd[:] = True
            return image, target

    dataset = Crowds(2)
    model = Oracle(dataset)
    model.tasks = ("instances",)
    (note,) = evaluate(model, dataset).notes
    assert (
        note
        == "these images have no objects to find (all 8 are crowds): average precision is undefined"
    )


def test_names_that_look_like_markup_are_printed_as_they_are() -> None:
    figures = {"mask_AP": {"[bold]cat": 1.0}}
    metrics = Metrics({"mask_AP": 1.0}, figures, notes=["[/x]"], dataset="coco:[a]", model="m")
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(metrics.table())
    text = console.export_text()
    for name in ("[bold]cat", "[/x]", "coco:[a]"):
        assert name in text


def test_limit_batches_and_progress() -> None:
    dataset = ToyDataset(20)
    model, steps = Oracle(dataset), []
    metrics = evaluate(model, dataset, limit=11, progress=lambda *step: steps.append(step))
    assert metrics.images == sum(model.asked) == 11
    assert max(model.asked) <= 8
    assert steps[-1] == (11, 11)
    assert [done for done, _ in steps] == sorted({done for done, _ in steps})


def test_table_and_json_mark_undefined_figures() -> None:
    dataset = ToyDataset(2)
    metrics = evaluate(Oracle(dataset, categories_named("square", "sea")), dataset)
    console = Console(width=160, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(metrics.table())
    text = console.export_text()
    for word in ("oracle on toy, 2 images", "mean_iou", "1.000", "square", "–", "share by name"):
        assert word in text
    record = json.loads(metrics.to_json())
    assert record["figures"]["mean_iou"] == 1.0
    assert record["per_class"]["mask_AP"]["sea"] is None
    assert record["images"] == 2
    assert "nan" not in metrics.to_json().lower()


def test_errors_name_what_is_missing() -> None:
    dataset = ToyDataset(2)
    with pytest.raises(SeglibError, match=r"no class in common.*bear.*disc"):
        evaluate(Oracle(dataset, categories_named("bear")), dataset)
    without = ToyDataset(2, semantic=False)
    with pytest.raises(SeglibError, match="toy, image 1: the target has no label map"):
        evaluate(Oracle(dataset), without)
    with pytest.raises(SeglibError, match="no images"):
        evaluate(Oracle(dataset), dataset, limit=0)


def test_absent_classes_have_no_score() -> None:
    class Empty(ToyDataset):
        """Background, and crowds, which nobody has to find."""

        def __getitem__(self, index: int) -> tuple[Tensor, Target]:
            image, target = super().__getitem__(index)
            target.iscrowd[:] = True
            target.semantic = torch.where(target.semantic == 0, 0, 255)
            return image, target

    dataset = Empty(2)
    metrics = evaluate(Oracle(dataset, spoil=lambda p: p.semantic.zero_()), dataset)
    assert all(map(math.isnan, metrics.figures.values()))
    assert metrics.notes == [
        "no pixel of these images is labelled as one of the classes: mean_iou is undefined",
        "these images have no objects to find (all 8 are crowds): average precision is undefined",
        "these images have no objects to find (all 8 are crowds): average recall is undefined",
    ]
