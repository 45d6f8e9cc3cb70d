"""The fitted parts of R-CNN, and the regions they learn from (Girshick et al. 2014).

Each part has its own examples: the classifiers learn from true boxes and from regions that hardly
overlap any object of the class, the regressors from regions that nearly fit. See model.py for the
pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.models.rcnn.config import RCNNConfig
from seglib.models.rcnn.linear_fits import Linear, fit_ridge, fit_svm_mining
from seglib.ops.boxes import box_iou, encode_deltas
from seglib.structures import Target


@dataclass
class FittedParts:
    """The result of `RCNN.fit`, for C classes and D features.

    Attributes:
        feature_scale: factor on the network's features.
        classifier: weight [D, C], bias [C]; the bias of a class without positives or without
            negatives is -inf.
        regressors: per class, weight [D, 4], bias [4].
        cached: per class, the number of negatives in each round of mining.
    """

    feature_scale: float
    classifier: Linear
    regressors: list[Linear]
    cached: list[list[int]]


def region_signs(boxes: Tensor, target: Target, classes: int, negative_iou: float = 0.3) -> Tensor:
    """Which regions are examples of which class (section 2.3).

    Only true boxes are positives of a class, however well a proposal fits; negatives have an IoU
    below `negative_iou` with each of its objects. Everything in between is left out. Crowds are not
    positives, and regions that overlap them are not negatives.

    Args:
        boxes: [G + N, 4], the target's own G boxes first.
        target: the objects of the image.
        classes: C.
        negative_iou: 0.3 was found by search in the paper, where 0.5 costs 5 points of mean AP.

    Returns:
        int8 [G + N, C]: +1, -1 or 0.
    """
    target = target.to(boxes.device)
    is_class = F.one_hot(target.labels - 1, classes).bool()  # [G, C]
    overlaps = box_iou(boxes, target.boxes.to(boxes))  # [G + N, G]
    # A row of zeros stands for "no object", so that there is always a maximum.
    by_class = F.pad(overlaps[:, :, None] * is_class.to(boxes), (0, 0, 0, 1))  # [G + N, G + 1, C]
    best = by_class.amax(1)  # [G + N, C]
    signs = -(best < negative_iou).to(torch.int8)  # [G + N, C]
    signs[: len(target)][is_class & ~target.iscrowd[:, None]] = 1
    return signs


def regression_targets(boxes: Tensor, target: Target, min_iou: float) -> tuple[Tensor, Tensor]:
    """The class whose regressor learns from each region, and its targets (appendix C).

    Args:
        boxes: [N, 4].
        target: the objects of the image; crowds are left out.
        min_iou: a region is an example if its IoU with its best object is above this.

    Returns:
        labels: int64 [N], the class of the best object, 0 for regions that are not examples.
        deltas: [N, 4] from the region to that object; 0 for regions that are not examples.
    """
    single = target[~target.iscrowd].to(boxes.device)
    objects = single.boxes.to(boxes)  # [G, 4]
    labels = torch.zeros(len(boxes), dtype=torch.int64, device=boxes.device)  # [N]
    deltas = torch.zeros_like(boxes)  # [N, 4]
    if len(objects) == 0:
        return labels, deltas
    iou, best = box_iou(boxes, objects).max(1)  # [N] each
    is_example = iou > min_iou  # [N]
    labels[is_example] = single.labels[best[is_example]]
    deltas[is_example] = encode_deltas(boxes[is_example], objects[best[is_example]])
    return labels, deltas


class Examples(NamedTuple):
    """The features of regions, and what each region is an example of.

    Attributes:
        features: [N, D], from the network.
        signs: int8 [N, C], see `region_signs`.
        labels: int64 [N], see `regression_targets`.
        deltas: [N, 4], see `regression_targets`.
    """

    features: Tensor
    signs: Tensor
    labels: Tensor
    deltas: Tensor

    @classmethod
    def join(cls, several: Sequence[Examples]) -> Examples:
        """Concatenate the examples of several images."""
        features, signs, labels, deltas = (torch.cat(c) for c in zip(*several, strict=True))
        return cls(features, signs, labels, deltas)


def fit_parts(examples: Examples, config: RCNNConfig) -> FittedParts:
    """Fit scale, classifiers and regressors to the regions of all images."""
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
