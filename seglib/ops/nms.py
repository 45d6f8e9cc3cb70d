"""Greedy non-maximum suppression: keep the best-scoring one of boxes that overlap strongly."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops import boxes as box_ops
from seglib.primitives import primitive

# Boxes decided together: enough to amortise PyTorch's cost per call, few enough that hardly any
# overlaps are computed for boxes that are suppressed anyway.
BLOCK = 128


def _naive_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Go down the ranking; keep a box unless it overlaps one already kept."""
    boxes = checked_boxes("nms", boxes, scores)
    keep: list[int] = []
    for candidate in scores.argsort(descending=True, stable=True).tolist():
        one = boxes[candidate : candidate + 1]
        if not any(
            box_ops.box_iou.naive(one, boxes[kept : kept + 1]).item() > iou_threshold
            for kept in keep
        ):
            keep.append(candidate)
    return torch.tensor(keep, dtype=torch.int64, device=boxes.device)


def _scratch_nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """From the matrix of all overlaps: each survivor suppresses the worse boxes it overlaps."""
    boxes = checked_boxes("nms", boxes, scores)
    order = scores.argsort(descending=True, stable=True)  # [N]
    ranked = boxes[order]  # [N, 4]
    limit = rounded_down(iou_threshold, ranked.dtype)
    overlaps = box_ops.box_iou.scratch(ranked, ranked) > limit  # [N, N]
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)  # [N]
    for rank in range(len(boxes)):
        if alive[rank]:
            alive[rank + 1 :] &= ~overlaps[rank, rank + 1 :]
    return order[alive]


@primitive(naive=_naive_nms, scratch=_scratch_nms)
def nms(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Greedy non-maximum suppression, ignoring classes.

    A box is removed if it overlaps a kept box of higher score by more than the threshold; a
    removed box removes nothing. Equal scores keep their order.

    Args:
        boxes: [N, 4] corners in pixels; integers and half precision are converted to float32.
        scores: [N].
        iou_threshold: the largest IoU that two kept boxes may have. As in torchvision, the IoU is
            rounded to the boxes' dtype and the threshold is not, which decides exact ties.

    Returns:
        [K] int64 indices of the kept boxes, highest score first.

    Raises:
        SeglibError: boxes are not [N, 4] or not finite, or scores not [N].
    """
    boxes = checked_boxes("nms", boxes, scores)
    order = scores.argsort(descending=True, stable=True)  # [N]
    corners = boxes.detach()[order].T  # [4, N]: every coordinate contiguous
    sides = (corners[2:] - corners[:2]).clamp(min=0)  # [2, N]
    ranked = torch.cat([corners, sides[:1] * sides[1:]])  # [5, N], the area last
    buffers = ranked.new_empty(3, min(BLOCK, len(order)) * len(order))
    limit = rounded_down(iou_threshold, ranked.dtype)
    keep = []
    while len(order):
        # Decide within the best block, then suppress all worse boxes that it overlaps at once.
        block = ranked[:, :BLOCK]  # [5, n]
        survives = _settle(_overlaps(block, block, limit, buffers))  # [n]
        keep.append(order[:BLOCK][survives])
        order, ranked = order[BLOCK:], ranked[:, BLOCK:]
        suppressed = _overlaps(block[:, survives], ranked, limit, buffers).any(dim=0)
        order, ranked = order[~suppressed], ranked[:, ~suppressed]
    return torch.cat(keep) if keep else order  # [K]


def _overlaps(a: Tensor, b: Tensor, limit: float, buffers: Tensor) -> Tensor:
    """Where the IoU exceeds a limit: `box_iou` in memory that is allocated only once.

    Allocating a dozen intermediates [n, m] would cost more than the arithmetic.

    Args:
        a: [5, n], rows x0, y0, x1, y1, area.
        b: [5, m].
        limit: a number of the corners' dtype; 0 / 0 (two empty boxes) never exceeds it.
        buffers: [3, n·m or more], which are overwritten.

    Returns:
        bool [n, m].
    """
    shape = (a.shape[1], b.shape[1])
    shared, union, spare = (buffer[: shape[0] * shape[1]].view(shape) for buffer in buffers)
    x0, y0, x1, y1, area = a[:, :, None]  # [n, 1] each
    torch.minimum(x1, b[2], out=shared).sub_(torch.maximum(x0, b[0], out=spare)).clamp_(min=0)
    # A negative height makes the product negative, which is no overlap either.
    torch.minimum(y1, b[3], out=union).sub_(torch.maximum(y0, b[1], out=spare))
    shared.mul_(union)
    torch.add(area, b[4], out=union).sub_(shared)
    return shared.div_(union) > limit


def _settle(overlaps: Tensor) -> Tensor:
    """Which of a few ranked boxes survive, without a loop over them.

    A box survives if no better survivor overlaps it. The rule is applied to all boxes until nothing
    changes: after t rounds, the first t ranks are final, and usually all are long before the end.

    Args:
        overlaps: bool [n, n] among boxes in ranked order.

    Returns:
        bool [n].
    """
    above = overlaps.triu(diagonal=1)
    survives = torch.ones(len(above), dtype=torch.bool, device=above.device)
    while True:
        settled = ~(above & survives[:, None]).any(dim=0)
        if torch.equal(settled, survives):
            return survives
        survives = settled


def batched_nms(boxes: Tensor, scores: Tensor, labels: Tensor, iou_threshold: float) -> Tensor:
    """`nms` within each class: boxes of different classes never suppress one another.

    Args:
        boxes: [N, 4] corners in pixels.
        scores: [N].
        labels: int64 [N].
        iou_threshold: as in `nms`.

    Returns:
        [K] int64 indices of the kept boxes of all classes, highest score first.

    Raises:
        SeglibError: the numbers of boxes, scores and labels differ, or `nms` refuses the boxes.
    """
    if not len(boxes) == len(scores) == len(labels):
        raise SeglibError(
            f"batched_nms needs a score and a label for every box, got {len(boxes)} boxes, "
            f"{len(scores)} scores and {len(labels)} labels"
        )
    kept = torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)  # [N]
    for label in labels.unique():
        members = (labels == label).nonzero().squeeze(1)  # [n]
        kept[members[nms(boxes[members], scores[members], iou_threshold)]] = True
    order = scores.argsort(descending=True, stable=True)  # [N]
    return order[kept[order]]  # [K]


def rounded_down(value: float, dtype: torch.dtype) -> float:
    """The largest number of a dtype that is not above a Python number.

    PyTorch rounds a number to the tensor's dtype before comparing, and rounds 0.1 up in float32. An
    overlap of 1 / 10, rounded up in the same way, would then no longer exceed it.
    """
    rounded = torch.tensor(value, dtype=dtype)
    below = rounded.new_tensor(-torch.inf)
    return (rounded if rounded.item() <= value else rounded.nextafter(below)).item()


def checked_boxes(name: str, boxes: Tensor, scores: Tensor) -> Tensor:
    """The boxes in float32 or float64: the area of a box of 300 px overflows float16.

    Args:
        name: the function that suppresses the boxes, for the message.
        boxes: [N, 4].
        scores: [N].

    Raises:
        SeglibError: boxes are not [N, 4] or not finite, or scores not [N].
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise SeglibError(
            f"{name} needs boxes [N, 4] and scores [N], got {list(boxes.shape)} and "
            f"{list(scores.shape)}"
        )
    box_ops.check_finite(name, "boxes", boxes)
    return boxes if boxes.dtype == torch.float64 else boxes.float()
