"""Collects the errors of a detector over a data set, and measures how much AP each kind costs."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from seglib.errors import SeglibError
from seglib.metrics.average_precision import average_precision
from seglib.metrics.error_breakdown import (
    BACKGROUND,
    CORRECT,
    ERRORS,
    FOREGROUND,
    IGNORED,
    REPAIRABLE,
    ErrorBreakdown,
    Kinds,
    judge_detections,
)
from seglib.metrics.matching import Bools, Floats, Ints, IouType, image_overlaps, to_numpy
from seglib.structures import Instances, Target


@dataclass(frozen=True)
class _Detections:
    """D detections, best score first; row i of every field belongs to detection i."""

    scores: Floats  # [D]
    labels: Ints  # [D]
    kinds: Kinds  # [D]
    objects: Ints  # [D], the number of the true object that it belongs to, or -1

    def __getitem__(self, rows: Ints | Bools) -> _Detections:
        return _Detections(
            self.scores[rows], self.labels[rows], self.kinds[rows], self.objects[rows]
        )

    @classmethod
    def join(cls, parts: list[_Detections]) -> _Detections:
        """The detections of all images; among equal scores, earlier images come first."""
        columns = ("scores", "labels", "kinds", "objects")
        joined = cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in columns))
        return joined[np.argsort(-joined.scores, kind="stable")]


class ErrorEvaluator:
    """Collect the predictions of images one by one, and compute their `ErrorBreakdown`.

    Args:
        iou_type: "segm" compares masks, "bbox" boxes.
        foreground: smallest IoU of a true positive, in 0…1.
        background: smallest IoU of a detection that is related to an object, in 0…`foreground`.
        max_detections: how many of the best detections per image and category are used.

    Raises:
        SeglibError: thresholds out of range or in the wrong order.
    """

    def __init__(
        self,
        iou_type: IouType = "segm",
        foreground: float = FOREGROUND,
        background: float = BACKGROUND,
        max_detections: int = 100,
    ) -> None:
        if not 0 <= background <= foreground <= 1:
            raise SeglibError(
                "thresholds must satisfy 0 ≤ background ≤ foreground ≤ 1, "
                f"got {background} and {foreground}"
            )
        self.iou_type: IouType = iou_type
        self.thresholds = (foreground, background)
        self.max_detections = max_detections
        self._images: list[_Detections] = []
        self._true_labels: list[Ints] = []
        self._crowds: list[Bools] = []

    def update(self, prediction: Instances, target: Target) -> None:
        """Add one image: its detections, in any order, and its true objects.

        Raises:
            SeglibError: masks are missing or have another size than the image.
        """
        target = target.to_find
        true_labels, iscrowd = to_numpy(target.labels), to_numpy(target.iscrowd)
        scores, labels = to_numpy(prediction.scores), to_numpy(prediction.labels)
        overlaps = image_overlaps(prediction, target, self.iou_type)  # [D, G]
        rows = _best_of_each(scores, labels, self.max_detections)
        kinds, objects = judge_detections(
            overlaps[rows], labels[rows], true_labels, iscrowd, *self.thresholds
        )
        first = sum(map(len, self._true_labels))  # objects are numbered over all images
        numbers = np.where(objects >= 0, objects + first, -1)
        self._images.append(_Detections(scores[rows], labels[rows], kinds, numbers))
        self._true_labels.append(true_labels)
        self._crowds.append(iscrowd)

    @property
    def objects(self) -> int:
        """The number of objects to find so far, without crowds."""
        return int(sum((~crowds).sum() for crowds in self._crowds))

    def compute(self, best: int | None = None) -> ErrorBreakdown:
        """The breakdown over all images so far.

        Args:
            best: number of detections to judge, those with the highest scores over all images;
                None judges all. With as many as there are objects, detectors whose scores are not
                comparable can be compared: a perfect one makes no error.
        """
        judged = self._judged(best)
        labels, counts = self._objects()
        found, almost_found = _about(judged, (CORRECT,)), _about(judged, REPAIRABLE)
        missed = np.setdiff1d(np.flatnonzero(counts), np.union1d(found, almost_found))
        ap = _mean_ap(judged, labels[counts])
        gains = {kind: _mean_ap(_repair(judged, kind, labels), labels[counts]) for kind in ERRORS}
        to_find = counts.copy()
        to_find[missed] = False
        gains["missed"] = _mean_ap(judged, labels[to_find])
        return ErrorBreakdown(
            detections=len(judged.scores),
            objects=int(counts.sum()),
            correct=int((judged.kinds == CORRECT).sum()),
            errors={kind: int((judged.kinds == kind).sum()) for kind in ERRORS},
            missed=len(missed),
            ap=ap,
            gains={kind: repaired - ap for kind, repaired in gains.items()},
        )

    def lowest_score(self, best: int) -> float:
        """The lowest score among the `best` detections; nan without detections."""
        scores = self._judged(best).scores
        return float(scores[-1]) if len(scores) else math.nan

    def found(self, best: int | None = None) -> list[Bools]:
        """For each image, bool [G]: whether the `best` detections found each object."""
        numbers = _about(self._judged(best), (CORRECT,))
        is_found = np.zeros(sum(map(len, self._true_labels)), dtype=bool)
        is_found[numbers] = True
        ends = np.cumsum([len(labels) for labels in self._true_labels])
        return np.split(is_found, ends[:-1]) if self._images else []

    def _judged(self, best: int | None) -> _Detections:
        """The detections that are not ignored, best score first, at most `best`."""
        nothing = _Detections(
            np.zeros(0), np.zeros(0, np.int64), np.zeros(0, "<U14"), np.zeros(0, np.int64)
        )
        joined = _Detections.join([nothing, *self._images])
        return joined[np.flatnonzero(joined.kinds != IGNORED)[:best]]

    def _objects(self) -> tuple[Ints, Bools]:
        """The labels of all true objects, crowds included, and whether each is to be found."""
        nothing = np.zeros(0, dtype=np.int64)
        labels = np.concatenate([nothing, *self._true_labels])
        return labels, ~np.concatenate([nothing.astype(bool), *self._crowds])


def _best_of_each(scores: Floats, labels: Ints, count: int) -> Ints:
    """The rows of the `count` best detections of each class, best score first."""
    order = np.argsort(-scores, kind="stable")
    rank = np.zeros(len(order), dtype=np.int64)
    for label in np.unique(labels):
        in_class = labels[order] == label
        rank[in_class] = np.arange(in_class.sum())
    rows: Ints = order[rank < count]
    return rows


def _about(detections: _Detections, kinds: tuple[str, ...]) -> Ints:
    """The numbers of the objects that detections of these kinds belong to."""
    return np.unique(detections.objects[np.isin(detections.kinds, kinds)])


def _repair(detections: _Detections, kind: str, true_labels: Ints) -> _Detections:
    """Repair one kind of error.

    The best such detection of each object becomes a true positive unless the object is already
    found. All others are removed (Bolya et al. 2020, section 2.3).
    """
    if kind not in REPAIRABLE:
        return detections[detections.kinds != kind]
    unfound = ~np.isin(detections.objects, _about(detections, (CORRECT,)))
    candidates = np.flatnonzero((detections.kinds == kind) & unfound)
    _, first = np.unique(detections.objects[candidates], return_index=True)
    repaired = candidates[first]
    labels, kinds = detections.labels.copy(), detections.kinds.copy()
    labels[repaired] = true_labels[detections.objects[repaired]]
    kinds[repaired] = CORRECT
    relabelled = _Detections(detections.scores, labels, kinds, detections.objects)
    return relabelled[kinds != kind]


def _mean_ap(detections: _Detections, to_find: Ints) -> float:
    """The mean AP over the classes in `to_find`, the labels [N] of all objects; nan if N is 0."""
    values = []
    for label in np.unique(to_find):
        selected = detections[detections.labels == label]
        count = int((to_find == label).sum())
        values.append(average_precision(selected.scores, selected.kinds == CORRECT, count))
    return float(np.mean(values)) if values else math.nan
