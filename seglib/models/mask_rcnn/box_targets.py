"""What the two stages learn from: anchors and proposals, assigned to objects and sampled."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from seglib.models.mask_rcnn.config import RPNRules
from seglib.models.targets import SizedTarget
from seglib.ops.assignment import IGNORED, NEGATIVE, POSITIVE, assign_boxes, balanced_sample
from seglib.ops.boxes import DeltaWeights, box_iou, encode_deltas
from seglib.structures import Target


def anchor_targets(
    anchors: Tensor, objects: Tensor, rules: RPNRules, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Sample anchors [N, 4] of an image with true boxes [G, 4], and give them their targets.

    Returns:
        labels int64 [N]: 1 object, 0 no object, −1 ambiguous or not sampled; true deltas [N, 4],
        zero except where the label is 1.
    """
    matched, index = assign_boxes(
        box_iou(objects, anchors),  # [G, N]
        rules.positive_iou,
        rules.negative_iou,
        allow_low_quality=True,  # no object goes without an anchor (Faster R-CNN, section 3.1.2)
    )
    positive, negative = balanced_sample(matched, rules.sampled, rules.positive_fraction, generator)
    labels = torch.full_like(matched, IGNORED)  # [N]
    labels[negative], labels[positive] = NEGATIVE, POSITIVE
    targets = torch.zeros_like(anchors)  # [N, 4]
    targets[positive] = encode_deltas(anchors[positive], objects[index[positive]])
    return labels, targets


@dataclass(eq=False)
class LabelledBoxes:
    """Boxes of one image, each with the object it is assigned to.

    Attributes:
        boxes: [R, 4] corners in pixels.
        labels: int64 [R], 1…C, 0 background.
        index: int64 [R], row in `truth` of the object that each box overlaps most; 0 if the image
            has no objects.
        truth: the objects of the image.
    """

    boxes: Tensor
    labels: Tensor
    index: Tensor
    truth: SizedTarget | Target

    def __getitem__(self, rows: Tensor) -> LabelledBoxes:
        return LabelledBoxes(self.boxes[rows], self.labels[rows], self.index[rows], self.truth)

    @property
    def image_size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        return self.truth.masks.shape[-2], self.truth.masks.shape[-1]

    def deltas(self, weights: DeltaWeights) -> Tensor:
        """Corrections [R, 4] that turn the boxes into those of their objects; 0 without objects."""
        if len(self.truth.boxes) == 0:
            return torch.zeros_like(self.boxes)
        return encode_deltas(self.boxes, self.truth.boxes[self.index], weights)


def label_boxes(boxes: Tensor, truth: SizedTarget | Target, iou: float) -> LabelledBoxes:
    """Give every box the class of the object it overlaps most, or background.

    Args:
        boxes: [R, 4] corners in one image.
        truth: its objects, without crowds.
        iou: smallest IoU at which a box is foreground (0.5 in Fast R-CNN; rising in a cascade).
    """
    matched, index = assign_boxes(box_iou(truth.boxes, boxes), iou, iou)  # [R] each
    if len(truth.boxes) == 0:
        return LabelledBoxes(boxes, matched, index, truth)
    labels = truth.labels[index].where(matched > 0, 0)  # [R]
    return LabelledBoxes(boxes, labels, index, truth)


def sample_boxes(
    labelled: LabelledBoxes, count: int, fraction: float, generator: Generator | None = None
) -> LabelledBoxes:
    """Sample `count` boxes, at most this fraction of them foreground (Fast R-CNN, section 2.3)."""
    positive, negative = balanced_sample(labelled.labels, count, fraction, generator)
    return labelled[torch.cat([positive, negative])]  # [count] or fewer
