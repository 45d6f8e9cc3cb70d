"""Which boxes a second stage learns from, and what each of them should say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.ops.assignment import assign_boxes, balanced_sample
from seglib.ops.box_coder import Weights, encode_deltas
from seglib.ops.boxes import box_iou


@dataclass(eq=False)
class LabelledBoxes:
    """Boxes of one image and what is true of them.

    Attributes:
        boxes: [R, 4] corners in pixels.
        labels: int64 [R], 1…C, 0 background.
        index: int64 [R] the object that each overlaps most; 0 without objects.
        objects: [R, 4] that object's box; the box itself without objects.
    """

    boxes: Tensor
    labels: Tensor
    index: Tensor
    objects: Tensor

    def __getitem__(self, rows: Tensor) -> LabelledBoxes:
        return LabelledBoxes(
            self.boxes[rows], self.labels[rows], self.index[rows], self.objects[rows]
        )

    def deltas(self, weights: Weights) -> Tensor:
        """[R, 4] corrections that would make the boxes their objects'."""
        return encode_deltas(self.boxes, self.objects, weights)


def label_boxes(boxes: Tensor, objects: Tensor, classes: Tensor, iou: float) -> LabelledBoxes:
    """Give every box the class of the object it overlaps most, or background.

    Args:
        boxes: [R, 4] of one image.
        objects: [G, 4] true boxes.
        classes: int64 [G], 1…C.
        iou: overlap from which a box is foreground (0.5 in Fast R-CNN; rising in a cascade).
    """
    matched, index = assign_boxes(box_iou(objects, boxes), iou, iou)
    if len(objects) == 0:
        return LabelledBoxes(boxes, matched, index, boxes)
    labels = classes[index].where(matched > 0, 0)
    return LabelledBoxes(boxes, labels, index, objects[index])


def sample_boxes(
    labelled: LabelledBoxes, count: int, fraction: float, generator: torch.Generator | None = None
) -> LabelledBoxes:
    """Draw `count` boxes, at most this fraction of them foreground (Fast R-CNN, section 2.3)."""
    positive, negative = balanced_sample(labelled.labels, count, fraction, generator)
    return labelled[torch.cat([positive, negative])]
