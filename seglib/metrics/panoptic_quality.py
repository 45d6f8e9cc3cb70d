"""Panoptic quality (Kirillov et al., CVPR 2019): how well segments are found and outlined.

                 sum of IoU over matched pairs          sum of IoU         TP
    PQ = ---------------------------------------- =  ------------- x -----------------
               TP + FP / 2 + FN / 2                       TP         TP + FP/2 + FN/2

                                                     SQ, how well    RQ, how many

A predicted and a true segment of the same class match if their IoU exceeds 1/2. Since segments do
not overlap, each can match at most one other, so that no search for a pairing is needed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.structures import Categories, Panoptic

MATCH_IOU = 0.5  # pairs with a larger IoU match
VOID = 0  # the id of pixels without a segment


@dataclass
class ClassCount:
    """The counts for one class.

    Attributes:
        iou_sum: sum of the IoU over the matched pairs.
        true_positives: number of matched pairs.
        false_positives: number of predicted segments without a match.
        false_negatives: number of true segments without a match.
    """

    iou_sum: float = 0.0
    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the class occurs neither in the truth nor in the predictions."""
        return not (self.true_positives or self.false_positives or self.false_negatives)

    @property
    def recognition(self) -> float:
        """RQ in 0…1; nan for an empty class."""
        found = self.true_positives + 0.5 * (self.false_positives + self.false_negatives)
        return self.true_positives / found if found else math.nan

    @property
    def segmentation(self) -> float:
        """SQ in 0…1: the mean IoU of the matched pairs; 0 without pairs, nan for an empty class."""
        if self.is_empty:
            return math.nan
        return self.iou_sum / self.true_positives if self.true_positives else 0.0

    @property
    def quality(self) -> float:
        """PQ = SQ x RQ in 0…1; nan for an empty class."""
        return self.segmentation * self.recognition


@dataclass(frozen=True)
class Quality:
    """Means over the classes that occur; nan if none does.

    Attributes:
        pq, sq, rq: in 0…1.
        classes: number of classes in the means.
    """

    pq: float
    sq: float
    rq: float
    classes: int


@dataclass
class PanopticEvaluator:
    """Collects panoptic maps image by image, and computes PQ, SQ and RQ.

    Attributes:
        categories: the data set's, with labels 1…C.
        counts: label → counts of that class.
    """

    categories: Categories
    counts: dict[int, ClassCount] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = {category.label: ClassCount() for category in self.categories}

    def update(self, prediction: Panoptic, truth: Panoptic) -> None:
        """Add one image.

        Raises:
            SeglibError: maps of different sizes.
        """
        count_segments(prediction, truth, self.counts)

    def compute(self) -> dict[str, Quality]:
        """The figures so far of "all" classes, of "things" and of "stuff"."""
        return {
            "all": self._mean(category.label for category in self.categories),
            "things": self._mean(category.label for category in self.categories.things),
            "stuff": self._mean(category.label for category in self.categories.stuff),
        }

    def _mean(self, labels: Iterable[int]) -> Quality:
        counted = [self.counts[label] for label in labels if not self.counts[label].is_empty]
        if not counted:
            return Quality(math.nan, math.nan, math.nan, 0)
        rows = [(count.quality, count.segmentation, count.recognition) for count in counted]
        pq, sq, rq = (sum(values) / len(counted) for values in zip(*rows, strict=True))
        return Quality(pq, sq, rq, len(counted))


def count_segments(prediction: Panoptic, truth: Panoptic, counts: dict[int, ClassCount]) -> None:
    """Match the segments of one image and add them to the counts of their classes.

    Pixels without a true segment do not count against a prediction. If more than half of a
    predicted segment lies on such pixels or on a crowd of its class, it is neither a true nor a
    false positive.

    Args:
        prediction: segments, none of them a crowd.
        truth: true segments; crowds need not be found.
        counts: label → counts of that class, changed in place.

    Raises:
        SeglibError: the maps have different sizes.
    """
    shared = _shared_pixels(prediction, truth)  # [1 + P, 1 + T], row and column 0 are void
    predicted_area, true_area = shared.sum(dim=1), shared.sum(dim=0)  # [1 + P], [1 + T]
    matched_true, matched_predicted = set(), set()
    for p, t in (shared[1:, 1:] > 0).nonzero().tolist():
        label = int(prediction.labels[p])
        if label != int(truth.labels[t]) or truth.iscrowd[t]:
            continue
        inside = int(shared[p + 1, t + 1])
        union = int(predicted_area[p + 1] + true_area[t + 1] - shared[p + 1, VOID]) - inside
        if inside / union > MATCH_IOU:
            counts[label].true_positives += 1
            counts[label].iou_sum += inside / union
            matched_predicted.add(p)
            matched_true.add(t)
    for t, label in enumerate(truth.labels.tolist()):
        if t not in matched_true and not truth.iscrowd[t] and true_area[t + 1]:
            counts[label].false_negatives += 1
    for p, label in enumerate(prediction.labels.tolist()):
        if p in matched_predicted or not predicted_area[p + 1]:
            continue
        crowd = truth.iscrowd & (truth.labels == label)  # [T]
        excused = int(shared[p + 1, VOID] + shared[p + 1, 1:][crowd].sum())
        if excused / int(predicted_area[p + 1]) <= MATCH_IOU:
            counts[label].false_positives += 1


def _shared_pixels(prediction: Panoptic, truth: Panoptic) -> Tensor:
    """int64 [1 + P, 1 + T]: the pixels of each pair of segments; row and column 0 are void."""
    if prediction.segment_map.shape != truth.segment_map.shape:
        raise SeglibError(
            f"predicted panoptic map {list(prediction.segment_map.shape)} and true map "
            f"{list(truth.segment_map.shape)} must have the same size"
        )
    rows, columns = _positions(prediction), _positions(truth)  # [H, W] each, 0 for void
    pairs = rows * (len(truth) + 1) + columns
    counted = torch.bincount(pairs.flatten(), minlength=(len(prediction) + 1) * (len(truth) + 1))
    return counted.view(len(prediction) + 1, len(truth) + 1)


def _positions(panoptic: Panoptic) -> Tensor:
    """The map with segment ids replaced by their positions, from 1; 0 for ids without a segment."""
    segment_map = panoptic.segment_map
    highest = int(max(segment_map.max(), panoptic.ids.max() if len(panoptic) else 0))
    table = torch.zeros(highest + 1, dtype=torch.int64, device=segment_map.device)
    table[panoptic.ids] = torch.arange(1, len(panoptic) + 1, device=segment_map.device)
    return table[segment_map]
