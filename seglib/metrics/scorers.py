"""One scorer per task: what `evaluate` measures in the fields of a prediction."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from seglib.metrics.coco_evaluator import CocoEvaluator
from seglib.metrics.dataset import LabelledImages, true_labels
from seglib.metrics.matching import IouType
from seglib.metrics.mean_iou import SemanticEvaluator
from seglib.metrics.panoptic_quality import PanopticEvaluator
from seglib.metrics.proposal_recall import MaskAndBoxRecall
from seglib.metrics.shared_classes import SharedClasses
from seglib.structures import BACKGROUND, Categories, Prediction, Target


class Scorer(ABC):
    """Collects one task's predictions image by image; figures are -1 or nan if undefined."""

    @abstractmethod
    def update(self, prediction: Prediction, target: Target) -> None:
        """Add one image."""

    @abstractmethod
    def figures(self) -> dict[str, float]:
        """The figures over all images so far, the most important first."""

    def per_class(self) -> dict[str, dict[str, float]]:
        """Figure → class name → value; empty if the task has no classes."""
        return {}

    def notes(self) -> list[str]:
        """What a reader of the figures must know."""
        return []


@dataclass
class _ObjectCount:
    """Counts the objects to find; without any, a score is undefined."""

    single: int = 0
    crowds: int = 0

    def add(self, truth: Target) -> None:
        crowds = int(truth.iscrowd.sum())
        self.crowds += crowds
        self.single += len(truth) - crowds

    def notes(self, figure: str) -> list[str]:
        if self.single:
            return []
        crowds = f" (all {self.crowds} are crowds)" if self.crowds else ""
        return [f"these images have no objects to find{crowds}: {figure} is undefined"]


class _SemanticScorer(Scorer):
    """The FCN paper's four figures, over the classes that model and data set share."""

    def __init__(self, model_categories: Categories, dataset: LabelledImages) -> None:
        self._shared = SharedClasses(model_categories, dataset.categories)
        self._dataset_name = dataset.name
        self._evaluator = SemanticEvaluator(self._shared.categories)

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.semantic is not None, "the model's tasks promise a label map"
        truth = true_labels(target, self._dataset_name)
        self._evaluator.update(
            self._shared.predicted_map(prediction.semantic), self._shared.true_map(truth)
        )

    def figures(self) -> dict[str, float]:
        result = self._evaluator.compute()
        names = ("mean_iou", "pixel_accuracy", "mean_accuracy", "freq_weighted_iou")
        # If every true pixel is background, all figures would only measure background.
        defined = self._has_classes()
        return {name: getattr(result, name) if defined else math.nan for name in names}

    def per_class(self) -> dict[str, dict[str, float]]:
        result = self._evaluator.compute()
        return {"iou": result.class_iou, "accuracy": result.class_accuracy}

    def notes(self) -> list[str]:
        nothing = (
            "no pixel of these images is labelled as one of the classes: mean_iou is undefined"
        )
        return self._shared.notes() + ([] if self._has_classes() else [nothing])

    def _has_classes(self) -> bool:
        """Whether any true pixel has a class other than background."""
        return bool(self._evaluator.confusion[BACKGROUND + 1 :].any())


class _InstanceScorer(Scorer):
    """COCO's figures over the shared classes: for boxes, and for masks if the model has them."""

    _iou_types: Mapping[str, IouType] = {"mask": "segm", "box": "bbox"}

    def __init__(self, model_categories: Categories, dataset: LabelledImages) -> None:
        self._shared = SharedClasses(model_categories, dataset.categories)
        self._objects = _ObjectCount()
        self._evaluators = {
            kind: CocoEvaluator(self._shared.categories, iou_type, dataset.area_ranges)
            for kind, iou_type in self._iou_types.items()
        }

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.instances is not None, "the model's tasks promise instances"
        if prediction.instances.masks is None:
            self._evaluators.pop("mask", None)
        found = self._shared.predicted_rows(prediction.instances)
        truth = self._shared.true_rows(target)
        self._objects.add(truth)
        for evaluator in self._evaluators.values():
            evaluator.update(found, truth)

    def figures(self) -> dict[str, float]:
        named: dict[str, float] = {}
        for kind, evaluator in self._evaluators.items():
            result = evaluator.compute()
            named |= {f"{kind}_{name}": value for name, value in result.stats.items()}
            named[f"{kind}_AP90"] = result.at(0.9)  # the strictest one in the Cascade R-CNN paper
        return named

    def per_class(self) -> dict[str, dict[str, float]]:
        return {
            f"{kind}_AP": evaluator.compute().per_category
            for kind, evaluator in self._evaluators.items()
        }

    def notes(self) -> list[str]:
        return self._shared.notes() + self._objects.notes("average precision")


class _PanopticScorer(Scorer):
    """Panoptic quality over the shared classes: for all of them, for things and for stuff."""

    def __init__(self, model_categories: Categories, dataset: LabelledImages) -> None:
        self._shared = SharedClasses(model_categories, dataset.categories)
        self._evaluator = PanopticEvaluator(self._shared.categories)
        self._without_map = 0

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.panoptic is not None, "the model's tasks promise a panoptic map"
        truth = self._shared.true_panoptic(target)
        if truth is None:
            self._without_map += 1
            return
        self._evaluator.update(self._shared.predicted_panoptic(prediction.panoptic), truth)

    def figures(self) -> dict[str, float]:
        return {
            f"{name}{suffix}": value
            for kind, quality in self._evaluator.compute().items()
            for suffix in ("" if kind == "all" else f"_{kind}",)
            for name, value in (("PQ", quality.pq), ("SQ", quality.sq), ("RQ", quality.rq))
        }

    def per_class(self) -> dict[str, dict[str, float]]:
        counts = self._evaluator.counts
        return {"PQ": {c.name: counts[c.label].quality for c in self._shared.categories}}

    def notes(self) -> list[str]:
        without = f"images without a panoptic map, which PQ leaves out: {self._without_map}"
        return self._shared.notes() + ([without] if self._without_map else [])


class _ProposalScorer(Scorer):
    """Average recall. Proposals have no classes: every true object counts."""

    def __init__(self, dataset: LabelledImages) -> None:
        self._recall = MaskAndBoxRecall(dataset.categories, dataset.area_ranges)
        self._objects = _ObjectCount()

    def update(self, prediction: Prediction, target: Target) -> None:
        assert prediction.proposals is not None, "the model's tasks promise proposals"
        self._recall.update(prediction.proposals, target)
        self._objects.add(target.to_find)

    def figures(self) -> dict[str, float]:
        return self._recall.figures()

    def notes(self) -> list[str]:
        return self._objects.notes("average recall")


# Task → scorer, built from the model's categories and the data set.
SCORERS: Mapping[str, Callable[[Categories, LabelledImages], Scorer]] = {
    "semantic": _SemanticScorer,
    "panoptic": _PanopticScorer,
    "instances": _InstanceScorer,
    "proposals": lambda _, dataset: _ProposalScorer(dataset),
}
