"""The twelve figures of COCO's evaluation, for boxes and for masks.

Everything is float64, so that an overlap of exactly 19/20 passes the threshold 0.95.

Source: Lin et al. 2014, "Microsoft COCO", and the evaluation rules at cocodataset.org; tests
compare every point of every curve with pycocotools.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seglib.errors import SeglibError
from seglib.metrics.average_precision import (
    RECALL_POINTS,
    UNDEFINED,
    interpolate_precision,
    precision_recall,
)
from seglib.metrics.matching import (
    IOU_THRESHOLDS,
    Bools,
    Floats,
    Ints,
    IouType,
    image_overlaps,
    match_detections,
    to_numpy,
)
from seglib.ops.boxes import box_area
from seglib.structures import COCO_AREA_RANGES, AreaRanges, Categories, Instances, Target


@dataclass(frozen=True)
class APResult:
    """The figures of a `CocoEvaluator`; -1 where there was nothing to find.

    Attributes:
        stats: COCO's figures by name: AP, AP50, AP75, APs, APm, APl (precision, with the largest
            number of detections), AR1, AR10, AR100 (recall, by detections per image and
            category), ARs, ARm, ARl.
        per_category: AP by category name.
        precision: [K categories, A area ranges, T thresholds, R recall points].
        recall: [K, A, T, M numbers of detections].
    """

    stats: dict[str, float]
    per_category: dict[str, float]
    precision: Floats
    recall: Floats

    def at(self, iou_threshold: float) -> float:
        """AP over objects of all sizes at one of the ten thresholds 0.50, 0.55 … 0.95.

        Raises:
            SeglibError: another threshold.
        """
        nearest = int(np.abs(IOU_THRESHOLDS - iou_threshold).argmin())
        if abs(IOU_THRESHOLDS[nearest] - iou_threshold) > 1e-6:
            raise SeglibError(f"AP is measured at 0.50, 0.55 … 0.95, not at {iou_threshold}")
        return _mean(self.precision[:, 0, nearest])


@dataclass(frozen=True)
class _Verdicts:
    """The D detections of one category in one image, best score first, for every area range.

    A detection matched to an ignored object is neither a true nor a false positive; nor is an
    unmatched one whose own size lies outside the range.
    """

    scores: Floats  # [D]
    true_positives: Bools  # [A, T, D]
    false_positives: Bools  # [A, T, D]
    num_objects: Ints  # [A]


def _verdicts(
    scores: Floats, overlaps: Floats, ignored: Bools, iscrowd: Bools, other_size: Bools
) -> _Verdicts:
    """Match the detections [D] and the objects [G] of one category in one image."""
    matches = match_detections(overlaps, ignored, iscrowd)
    matched = matches >= 0
    on_ignored = matched & _take(ignored, matches)
    return _Verdicts(
        scores=scores,
        true_positives=matched & ~on_ignored,
        false_positives=~matched & ~other_size[:, None],
        num_objects=(~ignored).sum(axis=1),
    )


class CocoEvaluator:
    """Collect the predictions of images one by one, and compute COCO's twelve figures.

    Args:
        categories: the data set's; a category without a true object is left out of the means.
        iou_type: "segm" or "bbox".
        area_ranges: name → (smallest, largest) px², both included. The first is the one of AP; the
            others give APs, APm … by their first letter. True objects are grouped by their
            annotated area, detections by the area of their mask or box.
        max_detections: how many of the best detections per image and category are used for AR1,
            AR10, AR100; the last number applies to all other figures.
        class_agnostic: ignore the labels, so that any detection may find any object.
    """

    def __init__(
        self,
        categories: Categories,
        iou_type: IouType = "segm",
        area_ranges: AreaRanges = COCO_AREA_RANGES,
        max_detections: Sequence[int] = (1, 10, 100),
        class_agnostic: bool = False,
    ) -> None:
        if iou_type not in ("segm", "bbox"):
            raise SeglibError(f"iou_type must be 'segm' or 'bbox', not {iou_type!r}")
        self.categories = categories
        self.iou_type: IouType = iou_type
        self.area_ranges = dict(area_ranges)
        self.max_detections = sorted(max_detections)
        self.class_agnostic = class_agnostic
        self._bounds = np.array(list(self.area_ranges.values()), dtype=np.float64)  # [A, 2]
        self._images: list[tuple[int, dict[int, _Verdicts]]] = []
        self._seen: set[int] = set()

    def update(self, prediction: Instances, target: Target) -> None:
        """Add one image: its detections, in any order, and its true objects.

        Args:
            prediction: the detections.
            target: its `to_find` is used: for a target of the COCO reader, the file's own boxes
                and areas in float64, with all objects.

        Raises:
            SeglibError: an image that was added before, a label outside the categories, missing
                masks or masks of another size.
        """
        target = target.to_find
        if target.image_id in self._seen:
            raise SeglibError(
                f"image {target.image_id} was scored already: every image counts once, so give "
                "each target its own image_id"
            )
        labels, true_labels = to_numpy(prediction.labels), to_numpy(target.labels)
        self._check("predicted", labels, target.image_id)
        self._check("true", true_labels, target.image_id)
        scores, iscrowd = to_numpy(prediction.scores), to_numpy(target.iscrowd)
        overlaps = image_overlaps(prediction, target, self.iou_type)  # [D, G]
        ignored = iscrowd | self._outside(to_numpy(target.area))  # [A, G]
        other_size = self._outside(self._areas(prediction))  # [A, D]
        # Best score first; among equal scores by class, as in pycocotools.
        rows, columns = np.lexsort((labels, -scores)), np.argsort(true_labels, kind="stable")
        if self.class_agnostic:
            labels, true_labels = np.zeros_like(labels), np.zeros_like(true_labels)
        verdicts = {}
        for label in np.union1d(labels, true_labels).tolist():
            d = rows[labels[rows] == label][: self.max_detections[-1]]
            g = columns[true_labels[columns] == label]
            pairs = overlaps[np.ix_(d, g)]
            verdicts[label] = _verdicts(
                scores[d], pairs, ignored[:, g], iscrowd[g], other_size[:, d]
            )
        self._images.append((target.image_id, verdicts))
        self._seen.add(target.image_id)

    def _check(self, whose: str, labels: Ints, image_id: int) -> None:
        if len(labels) and not 1 <= labels.min() <= labels.max() <= len(self.categories):
            raise SeglibError(
                f"image {image_id}: {whose} labels run {labels.min()}…{labels.max()}, "
                f"but there are {len(self.categories)} categories"
            )

    def _areas(self, prediction: Instances) -> Floats:
        if self.iou_type == "bbox":
            return to_numpy(box_area(prediction.boxes.double()))
        assert prediction.masks is not None  # image_overlaps has checked it
        pixels = np.count_nonzero(prediction.masks.flatten(1).cpu().numpy(), axis=1)
        return pixels.astype(np.float64)

    def _outside(self, areas: Floats) -> Bools:
        """bool [A, N]: the areas outside each range."""
        return (areas < self._bounds[:, :1]) | (areas > self._bounds[:, 1:])

    def compute(self) -> APResult:
        """The figures over all images so far; images are taken in order of their ids."""
        groups: dict[int, list[_Verdicts]] = defaultdict(list)
        for _, verdicts in sorted(self._images, key=lambda entry: entry[0]):
            for label, group in verdicts.items():
                groups[label].append(group)
        labels = [0] if self.class_agnostic else [c.label for c in self.categories]
        curves = [self._curves(groups[label]) for label in labels]
        precision = np.stack([p for p, _ in curves])  # [K, A, T, R]
        recall = np.stack([r for _, r in curves])  # [K, A, T, M]
        names = ["all"] if self.class_agnostic else list(self.categories.names)
        per_category = {n: _mean(p) for n, p in zip(names, precision[:, 0], strict=True)}
        return APResult(self._stats(precision, recall), per_category, precision, recall)

    def _curves(self, images: list[_Verdicts]) -> tuple[Floats, Floats]:
        """The precision [A, T, R] and recall [A, T, M] of one category, -1 where undefined."""
        ranges, thresholds = len(self._bounds), len(IOU_THRESHOLDS)
        precision = np.full((ranges, thresholds, len(RECALL_POINTS)), UNDEFINED)
        recall = np.full((ranges, thresholds, len(self.max_detections)), UNDEFINED)
        if not images:
            return precision, recall
        order = np.argsort(-np.concatenate([i.scores for i in images]), kind="stable")
        true_pos = np.concatenate([i.true_positives for i in images], axis=-1)[..., order]
        false_pos = np.concatenate([i.false_positives for i in images], axis=-1)[..., order]
        num_objects = np.sum([i.num_objects for i in images], axis=0)
        for a in np.flatnonzero(num_objects):
            for m, most in enumerate(self.max_detections):
                found = sum(i.true_positives[a, :, :most].sum(axis=-1) for i in images)
                recall[a, :, m] = found / num_objects[a]
            curve = precision_recall(true_pos[a], false_pos[a], int(num_objects[a]))
            precision[a] = [interpolate_precision(p, r) for p, r in zip(*curve, strict=True)]
        return precision, recall

    def _stats(self, precision: Floats, recall: Floats) -> dict[str, float]:
        at_50, at_75 = (int(np.abs(IOU_THRESHOLDS - t).argmin()) for t in (0.5, 0.75))
        sizes = [(name[0], a) for a, name in enumerate(self.area_ranges) if a > 0]
        stats = {
            "AP": _mean(precision[:, 0]),
            "AP50": _mean(precision[:, 0, at_50]),
            "AP75": _mean(precision[:, 0, at_75]),
        }
        stats |= {f"AP{letter}": _mean(precision[:, a]) for letter, a in sizes}
        stats |= {f"AR{n}": _mean(recall[:, 0, :, m]) for m, n in enumerate(self.max_detections)}
        return stats | {f"AR{letter}": _mean(recall[:, a, :, -1]) for letter, a in sizes}


def _mean(values: Floats) -> float:
    """The mean over the defined values, or -1."""
    defined = values[values > UNDEFINED]
    return float(defined.mean()) if defined.size else UNDEFINED


def _take(ignored: Bools, matches: Ints) -> Bools:
    """ignored[a, matches[a, t, d]]; anything where there is no match or no object."""
    if ignored.shape[1] == 0:
        return np.zeros(matches.shape, dtype=bool)
    return np.take_along_axis(ignored[:, None], matches, axis=-1)
