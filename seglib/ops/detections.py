"""From scored boxes to a short list: the RPN's proposals, a detector's final detections."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import clip_boxes
from seglib.ops.nms import batched_nms


class Detections(NamedTuple):
    """What is left of one image's scored boxes, best first.

    Attributes:
        boxes: [K, 4] corners in pixels, inside the image.
        scores: [K] in 0…1.
        classes: int64 [K] column of the scores, 0 for the first class.
        rows: int64 [K] row of the scores.
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
    """A box head's detections of one image (Fast R-CNN, section 3; COCO's limit of 100).

    Every class of a box that passes the threshold is a detection of its own; boxes suppress one
    another inside a class only.

    Args:
        boxes: [N, 4] corners in pixels shared by all classes, or [N, C, 4], one for each.
        scores: [N, C] class probabilities, the background's column left out.
        size: (H, W) of the image.
        score_threshold: a detection's score is above this.
        iou_threshold: the largest overlap that two detections of a class may have.
        max_detections: over all classes.
        min_size: clipped boxes with a shorter side in pixels go (torchvision: 0.01); None keeps
            all (detectron2).

    Returns:
        the detections, best first.

    Raises:
        SeglibError: boxes and scores do not match.
    """
    count, classes = scores.shape
    if boxes.shape not in ((count, 4), (count, classes, 4)):
        raise SeglibError(
            f"select_detections needs boxes [{count}, 4] or [{count}, {classes}, 4] with scores "
            f"{list(scores.shape)}, got {list(boxes.shape)}"
        )
    rows, labels = (scores > score_threshold).nonzero().unbind(1)
    candidates = boxes[rows] if boxes.ndim == 2 else boxes[rows, labels]
    candidates = clip_boxes(candidates, size)
    if min_size is not None:
        solid = (candidates[:, 2:] - candidates[:, :2] >= min_size).all(1)
        candidates, rows, labels = candidates[solid], rows[solid], labels[solid]
    kept = batched_nms(candidates, scores[rows, labels], labels, iou_threshold)[:max_detections]
    rows, labels = rows[kept], labels[kept]
    return Detections(candidates[kept], scores[rows, labels], labels, rows)
