"""How an R-CNN is built: the numbers of model.py, as published and for small images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RCNNConfig:
    """The paper's constants, or those for a small network and few images.

    Attributes:
        crop_size: side of the warped square in pixels; 227 as published (section 2.1).
        context: width in pixels of the box's surroundings on each side of the square; 16 of 227 as
            published (appendix A).
        max_proposals: number of best regions used per image; about 2000 (section 2.2).
        feature_norm: mean length to which features are scaled, as in the authors' code, so that
            `svm_cost` and `ridge` have the same effect for every network.
        negative_iou: a region whose IoU with every object of a class is below this is a negative
            of that class (section 2.3). The positives are the true boxes alone.
        svm_cost: C, weight of margin violations, as in the authors' code.
        positive_weight: factor on the violations of positives, as in the authors' code.
        mining_rounds: largest number of fits of a classifier, with hard negatives added in between.
        regression_iou: the box regressor of a class learns from regions whose IoU with one of its
            objects is above this (appendix C).
        ridge: λ of the regression (appendix C); the loss is a sum over all regions used in
            training.
        margin_threshold: margin that a detection must exceed.
        nms_iou: IoU threshold of greedy NMS within a class; 0.3 in the authors' code.
        max_detections: largest number of detections per image.
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
        """For a few hundred images of 128 px.

        The context is the same fraction of the crop as published. The regression learns from a
        hundredth of the paper's regions, so the ridge is smaller by the same factor.
        """
        return cls(crop_size=64, context=64 * 16 / 227, max_proposals=200, ridge=10.0)

    @classmethod
    def paper(cls) -> RCNNConfig:
        """As published."""
        return cls()
