"""From scored boxes to a short list: the RPN's proposals, a detector's final detections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import clip_boxes
from seglib.ops.nms import batched_nms


def select_proposals(
    boxes: Sequence[Tensor],
    logits: Sequence[Tensor],
    size: tuple[int, int],
    before_nms: int = 1000,
    after_nms: int = 1000,
    iou_threshold: float = 0.7,
    min_size: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """The RPN's best boxes of one image (Faster R-CNN, section 3.3; FPN, section 4.1).

    Keep the best of each level, clip them to the image, drop what has become empty, suppress
    overlaps inside each level, keep the best of all levels together.

    Args:
        boxes: [n, 4] decoded boxes of every level, corners in pixels.
        logits: [n] their objectness.
        size: (H, W) of the image.
        before_nms: boxes kept a level before suppression (paper: 2000 training, 1000 test).
        after_nms: boxes kept over all levels.
        iou_threshold: the largest overlap that two proposals of one level may have.
        min_size: clipped boxes stay only if both sides are longer, in pixels.

    Returns:
        [K, 4] boxes and [K] logits, best first; no gradient flows through them.

    Raises:
        SeglibError: the levels of boxes and logits do not match.
    """
    if [len(level) for level in boxes] != [len(level) for level in logits]:
        raise SeglibError(
            "select_proposals needs one logit a box: "
            f"{[len(level) for level in boxes]} boxes, {[len(level) for level in logits]} logits"
        )
    best = [level.detach().topk(min(before_nms, len(level))) for level in logits]
    scores = torch.cat([top.values for top in best])
    candidates = torch.cat(
        [level.detach()[top.indices] for level, top in zip(boxes, best, strict=True)]
    )
    levels = torch.cat([torch.full_like(top.indices, index) for index, top in enumerate(best)])
    candidates = clip_boxes(candidates, size)
    solid = (candidates[:, 2:] - candidates[:, :2] > min_size).all(1)
    candidates, scores, levels = candidates[solid], scores[solid], levels[solid]
    kept = batched_nms(candidates, scores, levels, iou_threshold)[:after_nms]
    return candidates[kept], scores[kept]


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
