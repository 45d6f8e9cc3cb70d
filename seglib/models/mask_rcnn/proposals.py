"""From an RPN's scored boxes to a short list of proposals."""

from __future__ import annotations

from collections.abc import Sequence

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
