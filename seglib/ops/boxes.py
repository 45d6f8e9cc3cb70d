"""Boxes: their overlaps, their other forms, and the deltas that a regression head predicts.

A box is given by its corners (x0, y0, x1, y1) in pixels and is half-open: its width is x1 − x0,
without "+1".
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive
from seglib.structures import all_finite

# Factors of the deltas (dx, dy, dw, dh).
DeltaWeights = tuple[float, float, float, float]

# A side grows at most from 16 to 1000 px, so that exp() does not overflow in an untrained head.
LARGEST_LOG_RATIO = math.log(1000 / 16)


def box_area(boxes: Tensor) -> Tensor:
    """Width times height; 0 for a box whose corners are swapped.

    Args:
        boxes: [N, 4] corners.

    Returns:
        [N] px².
    """
    sides = (boxes[:, 2:] - boxes[:, :2]).clamp(min=0)  # [N, 2]
    return sides[:, 0] * sides[:, 1]  # [N]


def _naive_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """One pair at a time."""
    _check(a, b)
    values = []
    for x0, y0, x1, y1 in a:
        for u0, v0, u1, v1 in b:
            width = (torch.minimum(x1, u1) - torch.maximum(x0, u0)).clamp(min=0)
            height = (torch.minimum(y1, v1) - torch.maximum(y0, v0)).clamp(min=0)
            shared = width * height
            area_a = (x1 - x0).clamp(min=0) * (y1 - y0).clamp(min=0)
            area_b = (u1 - u0).clamp(min=0) * (v1 - v0).clamp(min=0)
            union = area_a + area_b - shared
            values.append(shared / union if union > 0 else union * 0)
    return torch.stack(values).reshape(len(a), len(b)) if values else a.new_zeros(len(a), len(b))


def _scratch_box_iou(a: Tensor, b: Tensor) -> Tensor:
    """All pairs at once, by broadcasting [N, 1, 2] against [1, M, 2]."""
    _check(a, b)
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])  # [N, M, 2]
    bottom_right = torch.minimum(a[:, None, 2:], b[None, :, 2:])  # [N, M, 2]
    shared = (bottom_right - top_left).clamp(min=0).prod(dim=2)  # [N, M]
    union = box_area(a)[:, None] + box_area(b)[None, :] - shared  # [N, M]
    return shared / union.where(union > 0, 1)


@primitive(naive=_naive_box_iou, scratch=_scratch_box_iou)
def box_iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of every box of `a` with every box of `b`.

    Args:
        a: [N, 4] corners, float.
        b: [M, 4] corners, float.

    Returns:
        [N, M] in 0…1; 0 where both boxes are empty (0 / 0).

    Raises:
        SeglibError: the boxes are not [N, 4] and [M, 4].
    """
    _check(a, b)
    # Coordinate by coordinate, so that every intermediate is a contiguous [N, M]: twice as fast as
    # with pairs of coordinates.
    x0, y0, x1, y1 = a[:, :, None].unbind(1)  # [N, 1] each
    u0, v0, u1, v1 = b.T.unbind(0)  # [M] each
    width = (torch.minimum(x1, u1) - torch.maximum(x0, u0)).clamp(min=0)  # [N, M]
    height = (torch.minimum(y1, v1) - torch.maximum(y0, v0)).clamp(min=0)
    shared = width * height
    union = box_area(a)[:, None] + box_area(b) - shared
    return shared / union.where(union > 0, 1)


def clip_boxes(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Move corners outside the image onto its border.

    Args:
        boxes: [N, 4] corners.
        size: (H, W) of the image.

    Returns:
        [N, 4] with x in 0…W and y in 0…H.
    """
    height, width = size
    limit = boxes.new_tensor([width, height, width, height])
    return boxes.clamp(min=0).minimum(limit)


def scale_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Convert boxes [N, 4] from an image of size `old` (H, W) to that image resized to `new`."""
    down, across = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([across, down, across, down])


def xyxy_to_xywh(boxes: Tensor) -> Tensor:
    """[…, 4] corners → (left, top, width, height), the form of COCO files."""
    return torch.cat([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], dim=-1)


def xywh_to_xyxy(boxes: Tensor) -> Tensor:
    """[…, 4] (left, top, width, height) → corners."""
    return torch.cat([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], dim=-1)


def xyxy_to_cxcywh(boxes: Tensor) -> Tensor:
    """[…, 4] corners → (centre x, centre y, width, height)."""
    first, last = boxes[..., :2], boxes[..., 2:]
    return torch.cat([(first + last) / 2, last - first], dim=-1)


def cxcywh_to_xyxy(boxes: Tensor) -> Tensor:
    """[…, 4] (centre x, centre y, width, height) → corners."""
    center, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([center - half, center + half], dim=-1)


def encode_deltas(boxes: Tensor, targets: Tensor, weights: DeltaWeights = (1, 1, 1, 1)) -> Tensor:
    """The correction that turns each box into its target (R-CNN, appendix C).

    The shift of the centre is measured in sides of the box, and the growth of the sides as a
    logarithm, so that equal deltas mean equal relative changes for boxes of every size.

    Args:
        boxes: [..., 4] corners of positive width and height, in pixels.
        targets: [..., 4] corners of positive width and height, in pixels.
        weights: factors on (dx, dy, dw, dh), the inverse of their usual standard deviations: all 1
            in the RPN, (10, 10, 5, 5) in the box head (Fast R-CNN's normalisation, section 2.3).

    Returns:
        [..., 4] deltas (dx, dy, dw, dh); not finite for a box without width or height.
    """
    source, target = xyxy_to_cxcywh(boxes), xyxy_to_cxcywh(targets)
    shift = (target[..., :2] - source[..., :2]) / source[..., 2:]  # [..., 2]
    growth = torch.log(target[..., 2:] / source[..., 2:])  # [..., 2]
    return torch.cat([shift, growth], dim=-1) * boxes.new_tensor(weights)


def decode_deltas(boxes: Tensor, deltas: Tensor, weights: DeltaWeights = (1, 1, 1, 1)) -> Tensor:
    """Apply deltas to boxes; the inverse of `encode_deltas`.

    Args:
        boxes: [..., 4] corners in pixels.
        deltas: [..., 4] (dx, dy, dw, dh); leading dimensions broadcast, so that boxes [N, 1, 4]
            and deltas [N, K, 4] of K classes give [N, K, 4].
        weights: the weights that the deltas were encoded with.

    Returns:
        [..., 4] corners, not clipped to any image; no side grows by more than a factor 1000/16.
    """
    source = xyxy_to_cxcywh(boxes)
    deltas = deltas / deltas.new_tensor(weights)
    center = source[..., :2] + deltas[..., :2] * source[..., 2:]  # [..., 2]
    sides = source[..., 2:] * deltas[..., 2:].clamp(max=LARGEST_LOG_RATIO).exp()  # [..., 2]
    return cxcywh_to_xyxy(torch.cat([center, sides], dim=-1))


def check_finite(name: str, what: str, rows: Tensor) -> None:
    """Refuse rows [N, D] with NaN or infinity, which have no order and no cell.

    Args:
        name: the operation that needs them, for the message.
        what: what the rows are, such as "boxes", for the message.
        rows: [N, D].

    Raises:
        SeglibError: there is such a row; the message contains the first one.
    """
    if not all_finite(rows):
        first = int((~rows.isfinite()).any(1).int().argmax())
        raise SeglibError(
            f"{name} needs finite {what}, row {first} is {rows[first].tolist()}: has the model "
            "that made them diverged?"
        )


def _check(a: Tensor, b: Tensor) -> None:
    for boxes in (a, b):
        if boxes.ndim != 2 or boxes.shape[1] != 4:
            raise SeglibError(f"boxes must be [N, 4] corners, got {list(boxes.shape)}")
