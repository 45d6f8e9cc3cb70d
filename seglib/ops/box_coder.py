"""Boxes as corrections of other boxes: what a regression head predicts (Girshick et al. 2014)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

Weights = tuple[float, float, float, float]

# A box grows at most from 16 to 1000 px: an untrained head must not overflow exp().
LARGEST_LOG_RATIO = math.log(1000 / 16)


def encode_deltas(boxes: Tensor, targets: Tensor, weights: Weights = (1, 1, 1, 1)) -> Tensor:
    """The correction that turns each box into its target (R-CNN, appendix C).

    The shift of the centre is counted in sides of the box, the change of the sides as a
    logarithm: the same correction means the same for boxes of every size.

    Args:
        boxes: [..., 4] corners of positive width and height, in pixels.
        targets: [..., 4] corners, likewise.
        weights: factors of (dx, dy, dw, dh), the inverse of their usual spread: all 1 in the RPN,
            (10, 10, 5, 5) in the box head (Fast R-CNN's normalisation).

    Returns:
        [..., 4] deltas (dx, dy, dw, dh); a box without width or height has no sides to count in,
        and its row is not finite.

    Raises:
        SeglibError: boxes, targets or weights that are not four numbers, or that do not fit.
    """
    _check("encode_deltas", boxes, targets, weights)
    source, target = xyxy_to_cxcywh(boxes), xyxy_to_cxcywh(targets)
    shift = (target[..., :2] - source[..., :2]) / source[..., 2:]
    growth = torch.log(target[..., 2:] / source[..., 2:])
    return torch.cat([shift, growth], dim=-1) * boxes.new_tensor(weights)


def decode_deltas(boxes: Tensor, deltas: Tensor, weights: Weights = (1, 1, 1, 1)) -> Tensor:
    """Apply corrections to boxes; undoes `encode_deltas`.

    Args:
        boxes: [..., 4] corners in pixels.
        deltas: [..., 4] (dx, dy, dw, dh), leading dimensions that broadcast with the boxes':
            boxes [N, 1, 4] take class-wise deltas [N, K, 4].
        weights: those the deltas were encoded with.

    Returns:
        [..., 4] corners, not clipped to any image; no side grows by more than a factor 1000/16.

    Raises:
        SeglibError: boxes, deltas or weights that are not four numbers, or that do not fit.
    """
    _check("decode_deltas", boxes, deltas, weights)
    source = xyxy_to_cxcywh(boxes)
    deltas = deltas / deltas.new_tensor(weights)
    center = source[..., :2] + deltas[..., :2] * source[..., 2:]
    sides = source[..., 2:] * deltas[..., 2:].clamp(max=LARGEST_LOG_RATIO).exp()
    return cxcywh_to_xyxy(torch.cat([center, sides], dim=-1))


def _check(name: str, boxes: Tensor, others: Tensor, weights: Weights) -> None:
    fits = boxes.shape[-1:] == others.shape[-1:] == (4,) and len(weights) == 4
    if fits:
        try:
            torch.broadcast_shapes(boxes.shape, others.shape)
        except RuntimeError:
            fits = False
    if not fits:
        raise SeglibError(
            f"{name} needs two [..., 4] of shapes that fit and 4 weights, got {list(boxes.shape)}, "
            f"{list(others.shape)} and {len(weights)} weights"
        )
