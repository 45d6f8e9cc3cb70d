"""Fast NMS (Bolya et al. 2019, YOLACT, section 4.2): all boxes are decided in parallel."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.ops import boxes as box_ops
from seglib.ops.nms import checked_boxes, rounded_down
from seglib.primitives import primitive

BLOCK = 256  # columns of the matrix of overlaps that are computed together


def _naive_fast_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Compare every box with all that score higher, whether or not these are removed."""
    boxes = checked_boxes("fast_nms", boxes, scores)
    order = scores.argsort(descending=True, stable=True).tolist()
    keep = []
    for rank, candidate in enumerate(order):
        one = boxes[candidate : candidate + 1]
        if not any(
            box_ops.box_iou.naive(one, boxes[better : better + 1]).item() > iou_threshold
            for better in order[:rank]
        ):
            keep.append(candidate)
    return torch.tensor(keep, dtype=torch.int64, device=boxes.device)


def _scratch_fast_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """The upper triangle of the matrix of overlaps, and the largest value of each column."""
    boxes = checked_boxes("fast_nms", boxes, scores)
    order = scores.argsort(descending=True, stable=True)  # [N]
    ranked = boxes[order]  # [N, 4]
    overlaps = box_ops.box_iou.scratch(ranked, ranked).triu(diagonal=1)  # [N, N]
    if len(order) == 0:
        return order
    return order[overlaps.amax(dim=0) <= rounded_down(iou_threshold, ranked.dtype)]


@primitive(naive=_naive_fast_nms, scratch=_scratch_fast_nms)
def fast_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Suppress overlapping boxes in one step, ignoring classes (YOLACT, section 4.2).

    A box is removed if it overlaps any box of higher score by more than the threshold. Unlike in
    `nms`, a removed box still removes others: no box has to wait for the decision on another one,
    at the price of a few boxes that greedy NMS would keep. Equal scores keep their order.

    Args:
        boxes: [N, 4] corners in pixels; integers and half precision are converted to float32.
        scores: [N].
        iou_threshold: the largest IoU with a better box that a kept box may have; compared as in
            `nms`.

    Returns:
        [K] int64 indices of the kept boxes, highest score first: a part of those of `nms`.

    Raises:
        SeglibError: boxes are not [N, 4] or not finite, or scores not [N].
    """
    boxes = checked_boxes("fast_nms", boxes, scores)
    order = scores.argsort(descending=True, stable=True)  # [N]
    ranked = boxes.detach()[order]  # [N, 4]
    limit = rounded_down(iou_threshold, ranked.dtype)
    kept = []
    # The columns are independent; blocks of them, down to the diagonal, fit into the cache.
    for start in range(0, len(order), BLOCK):
        stop = min(start + BLOCK, len(order))
        overlaps = box_ops.box_iou(ranked[:stop], ranked[start:stop])  # [stop, n]
        kept.append(overlaps.triu(diagonal=1 - start).amax(dim=0) <= limit)  # [n]
    return order[torch.cat(kept)] if kept else order  # [K]
