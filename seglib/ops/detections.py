"""Select detections from a detector's scored boxes."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from seglib.ops.boxes import clip_boxes
from seglib.ops.nms import batched_nms


class Detections(NamedTuple):
    """The detections of one image, best first.

    Attributes:
        boxes: [K, 4] corners in pixels, inside the image.
        scores: [K] in 0…1.
        classes: int64 [K], columns of the score matrix, 0 for the first class.
        rows: int64 [K], rows of the score matrix.
    """

    boxes: Tensor
    scores: Tensor
    classes: Tensor
    rows: Tensor


def select_detections(
    boxes: Tensor,
    scores: Tensor,
    size: tuple[int, int],
    score_threshold: float = 0.05,
    iou_threshold: float = 0.5,
    max_detections: int = 100,
    min_size: float | None = None,
) -> Detections:
    """A box head's detections in one image (Fast R-CNN, section 3; COCO's limit of 100).

    Each class of a box that scores above the threshold is a detection of its own; boxes suppress
    one another only within a class.

    Args:
        boxes: [N, 4] corners in pixels shared by all classes, or [N, C, 4], one box per class.
        scores: [N, C] class probabilities without the background's column.
        size: (H, W) of the image.
        score_threshold: score that a detection must exceed.
        iou_threshold: largest IoU that two detections of a class may have.
        max_detections: largest number of detections of all classes together.
        min_size: shortest side in pixels that a clipped box may have (0.01 in torchvision); None
            keeps all boxes (detectron2).
    """
    rows, labels = (scores > score_threshold).nonzero().unbind(1)  # [M] each
    candidates = boxes[rows] if boxes.ndim == 2 else boxes[rows, labels]  # [M, 4]
    candidates = clip_boxes(candidates, size)
    if min_size is not None:
        solid = (candidates[:, 2:] - candidates[:, :2] >= min_size).all(1)  # [M]
        candidates, rows, labels = candidates[solid], rows[solid], labels[solid]
    kept = batched_nms(candidates, scores[rows, labels], labels, iou_threshold)[:max_detections]
    rows, labels = rows[kept], labels[kept]  # [K] each
    return Detections(candidates[kept], scores[rows, labels], labels, rows)
