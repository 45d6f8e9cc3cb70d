"""How an R-CNN is built: the numbers of model.py, as published and for small images."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RCNNConfig:
    """The paper's constants, or those for a small network and few images.

    Attributes:
        crop_size: side of the warped square; the paper's network reads 227 (section 2.1).
        context: pixels of the square that show the box's surroundings, on each side; 16 of 227
            (appendix A).
        max_proposals: best regions per image; about 2000 (section 2.2).
        feature_norm: mean length that features are scaled to, as in the authors' code, so that
            `svm_cost` and `ridge` mean the same for every network; 20.
        negative_iou: a region that overlaps every object of a class by less than this is a
            negative of that class; 0.3 (section 2.3). Positives are the true boxes alone.
        svm_cost: C; 0.001 in the authors' code.
        positive_weight: of the positives' violations; 2 in the authors' code.
        mining_rounds: fits of each classifier at most, with hard negatives added in between.
        regression_iou: the box regression of a class learns from regions that overlap an object by
            more than this; 0.6 (appendix C).
        ridge: 1000 (appendix C), against sums over all regions of a whole training set.
        margin_threshold: detections have a larger margin.
        nms_iou: of greedy suppression within a class; 0.3 in the authors' code.
        max_detections: per image.
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

        The context is the same fraction of the crop. The regression learns from a hundredth of the
        paper's regions, so the ridge is smaller by the same factor.
        """
        return cls(crop_size=64, context=64 * 16 / 227, max_proposals=200, ridge=10.0)

    @classmethod
    def paper(cls) -> RCNNConfig:
        """As published."""
        return cls()
