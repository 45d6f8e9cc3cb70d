"""Score a model on a data set, with the figures that belong to its tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice
from typing import Protocol

from seglib.metrics.average_precision import UNDEFINED, CocoEvaluator
from seglib.metrics.dataset import LabelledImages, first_samples, true_labels
from seglib.metrics.matching import IouType
from seglib.metrics.mean_iou import SemanticEvaluator
from seglib.metrics.proposal_recall import MaskAndBoxRecall
from seglib.metrics.report import Metrics
from seglib.metrics.shared_classes import SharedClasses
from seglib.models.base import Segmenter
from seglib.structures import Prediction, Target

Progress = Callable[[int, int], None]

_BATCH_SIZE = 8


def evaluate(
    model: Segmenter,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Let the model predict the images and score what its `tasks` say that it fills.

    Classes are compared by name. Where model and data set differ, only the classes of both are
    scored and the notes say so: predictions of other classes become background or are dropped,
    true pixels of other classes are ignored, true objects of other classes are left out.
    Proposals have no classes, so for them every true object counts.

    Args:
        model: any paradigm.
        dataset: images with targets; its area ranges split the figures by size.
        limit: only the first images.
        progress: called with (images done, images in all) after every batch.

    Returns:
        figures, figures by class, and notes to print beside them: the data set's own, if it
        has any, and the classes scored.

    Raises:
        SeglibError: no image, no class in common, or a target that lacks what the task needs.
    """
    scorers: list[_Scorer] = []
    notes = list(getattr(dataset, "notes", ()))
    if set(model.tasks) != {"proposals"}:
        shared = SharedClasses(model.categories, dataset.categories)
        notes += shared.notes()
    for task in model.tasks:
        if task == "semantic":
            scorers.append(_SemanticScorer(shared, dataset.name))
        elif task == "instances":
            scorers.append(_InstanceScorer(shared, dataset))
        elif task == "proposals":
            scorers.append(_ProposalScorer(dataset))
    samples = first_samples(dataset, limit)
    total = len(dataset) if limit is None else min(limit, len(dataset))
    done = 0
    while batch := list(islice(samples, _BATCH_SIZE)):
        predictions = model.predict([image for image, _ in batch])
        for prediction, (_, target) in zip(predictions, batch, strict=True):
            for scorer in scorers:
                scorer.update(prediction, target)
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return _gather(scorers, notes, dataset.name, total, model.name)


class _Scorer(Protocol):
    """Gathers one task's figures."""

    def update(self, prediction: Prediction, target: Target) -> None: ...

    def figures(self) -> dict[str, float]: ...

    def per_class(self) -> dict[str, dict[str, float]]: ...


class _SemanticScorer:
    def __init__(self, shared: SharedClasses, dataset_name: str) -> None:
        self._shared, self._dataset_name = shared, dataset_name
        self._evaluator = SemanticEvaluator(shared.categories)

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.semantic is not None, "the model's tasks promise a label map"
        truth = true_labels(target, self._dataset_name)
        self._evaluator.update(
            self._shared.predicted_map(prediction.semantic), self._shared.true_map(truth)
        )

    def figures(self) -> dict[str, float]:
        result = self._evaluator.compute()
        names = ("mean_iou", "pixel_accuracy", "mean_accuracy", "freq_weighted_iou")
        return {name: getattr(result, name) for name in names}

    def per_class(self) -> dict[str, dict[str, float]]:
        result = self._evaluator.compute()
        return {"iou": result.class_iou, "accuracy": result.class_accuracy}


class _InstanceScorer:
    """Boxes always, masks when the model draws them (DETR without its mask head does not)."""

    _prefixes: tuple[tuple[str, IouType], ...] = (("mask", "segm"), ("box", "bbox"))

    def __init__(self, shared: SharedClasses, dataset: LabelledImages) -> None:
        self._shared = shared
        self._evaluators = {
            prefix: CocoEvaluator(shared.categories, iou_type, dataset.area_ranges)
            for prefix, iou_type in self._prefixes
        }

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.instances is not None, "the model's tasks promise instances"
        if prediction.instances.masks is None:
            self._evaluators.pop("mask", None)
        found = self._shared.predicted_rows(prediction.instances)
        truth = self._shared.true_rows(target)
        for evaluator in self._evaluators.values():
            evaluator.update(found, truth)

    def figures(self) -> dict[str, float]:
        named: dict[str, float] = {}
        for prefix, evaluator in self._evaluators.items():
            result = evaluator.compute()
            named |= {f"{prefix}_{name}": value for name, value in result.stats.items()}
            named[f"{prefix}_AP90"] = result.at(0.9)  # the strictest that still says something
        return named

    def per_class(self) -> dict[str, dict[str, float]]:
        return {
            f"{prefix}_AP": evaluator.compute().per_category
            for prefix, evaluator in self._evaluators.items()
        }


class _ProposalScorer:
    def __init__(self, dataset: LabelledImages) -> None:
        self._recall = MaskAndBoxRecall(dataset.categories, dataset.area_ranges)

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.proposals is not None, "the model's tasks promise proposals"
        self._recall.update(prediction.proposals, target)

    def figures(self) -> dict[str, float]:
        return self._recall.figures()

    def per_class(self) -> dict[str, dict[str, float]]:
        return {}


def _gather(
    scorers: list[_Scorer], notes: list[str], dataset_name: str, images: int, model_name: str
) -> Metrics:
    """All tasks' figures in one; COCO's -1 for undefined becomes nan, which nobody averages."""
    figures: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {}
    for scorer in scorers:
        figures |= _with_nan(scorer.figures())
        per_class |= {name: _with_nan(values) for name, values in scorer.per_class().items()}
    return Metrics(figures, per_class, notes, dataset_name, images, model_name)


def _with_nan(values: dict[str, float]) -> dict[str, float]:
    return {name: math.nan if value == UNDEFINED else value for name, value in values.items()}
