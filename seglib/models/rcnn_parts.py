"""The parts of R-CNN that are fitted, and from which regions (Girshick et al. 2014).

Each part has examples of its own: the classifiers learn from true boxes against regions that
overlap no object of the class, the regressors from regions that nearly fit. See models/rcnn.py
for the pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.box_coder import encode_deltas
from seglib.ops.boxes import box_iou
from seglib.ops.linear_fits import Linear, fit_ridge, fit_svm_mining
from seglib.structures import Target


@dataclass(frozen=True)
class RCNNConfig:
    """The paper's constants, and those that a small network and few images ask for.

    Attributes:
        crop_size: side of the warped square; the paper's network reads 227 (section 2.1).
        context: image around each box in the square; 16 px of 227 (appendix A).
        max_proposals: regions an image, the best; about 2000 (section 2.2).
        feature_norm: features are scaled to this length on average, as in the authors' code, so
            that the two constants below mean the same for every network; 20.
        negative_iou: a region overlapping every object of a class by less than this is a negative
            of that class; 0.3 (section 2.3). Positives are the true boxes alone.
        svm_cost: C; 0.001 in the authors' code.
        positive_weight: of the positives' violations; 2 in the authors' code.
        mining_rounds: fits of each classifier at most, hard negatives added in between.
        regression_iou: regions overlapping an object by more teach its class's box regression;
            0.6 (appendix C).
        ridge: 1000 (appendix C), against sums over all regions of a whole training set.
        margin_threshold: a detection's margin is above this.
        nms_iou: greedy suppression inside a class; 0.3 in the authors' code.
        max_detections: an image.
    """

    crop_size: int = 227
    context: float = 16.0
    max_proposals: int = 2000
    feature_norm: float = 20.0
    negative_iou: float = 0.3
    svm_cost: float = 0.001
    positive_weight: float = 2.0
    mining_rounds: int = 4
    regression_iou: float = 0.6
    ridge: float = 1000.0
    margin_threshold: float = -1.0
    nms_iou: float = 0.3
    max_detections: int = 100

    @classmethod
    def pocket(cls) -> RCNNConfig:
        """For images of 128 px, some hundred of them.

        The context is the same part of the crop. A hundredth of the paper's regions teach the
        regression, so the ridge is smaller by as much.
        """
        return cls(crop_size=64, context=64 * 16 / 227, max_proposals=200, ridge=10.0)

    @classmethod
    def paper(cls) -> RCNNConfig:
        """As published."""
        return cls()


@dataclass
class FittedParts:
    """What `RCNN.fit` learns; C classes, D features.

    Attributes:
        feature_scale: the network's features are multiplied by it.
        classifier: weight [D, C], bias [C]; bias -inf for a class without any example.
        regressors: for each class, weight [D, 4], bias [4].
        cached: for each class, how many negatives each round of mining fitted on.
    """

    feature_scale: float
    classifier: Linear
    regressors: list[Linear]
    cached: list[list[int]]


def region_signs(boxes: Tensor, target: Target, classes: int, negative_iou: float = 0.3) -> Tensor:
    """Which regions are examples of which class (section 2.3).

    Positives of a class are its true boxes alone, however well a proposal fits; negatives overlap
    every object of it by less than `negative_iou`. Everything between is left out. Crowds are no
    positives, but what overlaps them is no negative.

    Args:
        boxes: [G + N, 4], the target's own G boxes first.
        target: of the image.
        classes: C.
        negative_iou: the paper searched for it; 0.5 instead costs 5 points of mean AP.

    Returns:
        int8 [G + N, C]: +1, -1 or 0.
    """
    of_class = torch.zeros(len(target), classes, dtype=torch.bool)
    of_class[torch.arange(len(target)), target.labels - 1] = True
    overlaps = box_iou(boxes, target.boxes.to(boxes))  # [G + N, G]
    # A row of zeros stands for "no object", so that the maximum always exists.
    by_class = F.pad(overlaps[:, :, None] * of_class.to(boxes), (0, 0, 0, 1))  # [G + N, G + 1, C]
    best = by_class.amax(1)  # [G + N, C]
    signs = -(best < negative_iou).to(torch.int8)
    signs[: len(target)][of_class & ~target.iscrowd[:, None]] = 1
    return signs


def regression_targets(boxes: Tensor, target: Target, min_iou: float) -> tuple[Tensor, Tensor]:
    """What each region should teach the regressors (appendix C).

    Args:
        boxes: [N, 4].
        target: of the image.
        min_iou: a region teaches if it overlaps its best object, no crowd, by more.

    Returns:
        labels: int64 [N] of the best object, 0 for regions that teach nothing.
        deltas: [N, 4] from the region to that object; 0 likewise.
    """
    objects = target.boxes[~target.iscrowd].to(boxes)
    labels, deltas = torch.zeros(len(boxes), dtype=torch.int64), torch.zeros_like(boxes)
    if len(objects) == 0:
        return labels, deltas
    iou, best = box_iou(boxes, objects).max(1)
    near = iou > min_iou
    labels[near] = target.labels[~target.iscrowd][best[near]]
    deltas[near] = encode_deltas(boxes[near], objects[best[near]])
    return labels, deltas


class Examples(NamedTuple):
    """Described regions, and what each is an example of.

    Attributes:
        features: [N, D] as the network gives them.
        signs: int8 [N, C], see `region_signs`.
        labels: int64 [N] and
        deltas: [N, 4], see `regression_targets`.
    """

    features: Tensor
    signs: Tensor
    labels: Tensor
    deltas: Tensor

    @classmethod
    def join(cls, several: Sequence[Examples]) -> Examples:
        """The regions of several images in one."""
        features, signs, labels, deltas = (torch.cat(c) for c in zip(*several, strict=True))
        return cls(features, signs, labels, deltas)


def fit_parts(examples: Examples, config: RCNNConfig) -> FittedParts:
    """Fit scale, classifiers and regressors, from the regions of all images."""
    features, signs, labels, deltas = examples
    scale = config.feature_norm / float(features.norm(dim=1).mean())
    features = features * scale
    nothing = Linear(features.new_zeros(features.shape[1]), features.new_tensor(-torch.inf))
    classifiers, cached = [], []
    for sign in signs.T:
        if {1, -1} <= set(sign.tolist()):
            mined = fit_svm_mining(
                features, sign, config.svm_cost, config.positive_weight, config.mining_rounds
            )
            classifiers.append(mined.model)
            cached.append(mined.cached)
        else:
            classifiers.append(nothing)
            cached.append([])
    regressors = [
        fit_ridge(features[labels == label], deltas[labels == label], config.ridge)
        for label in range(1, signs.shape[1] + 1)
    ]
    classifier = Linear(
        torch.stack([c.weight for c in classifiers], 1), torch.stack([c.bias for c in classifiers])
    )
    return FittedParts(scale, classifier, regressors, cached)
