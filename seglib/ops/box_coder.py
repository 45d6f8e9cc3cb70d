"""Boxes as corrections of other boxes: what a regression head predicts (Girshick et al. 2014)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from seglib.ops.boxes import cxcywh_to_xyxy, xyxy_to_cxcywh

Weights = tuple[float, float, float, float]

# A box grows at most from 16 to 1000 px, so that an untrained head does not overflow exp().
LARGEST_LOG_RATIO = math.log(1000 / 16)


def encode_deltas(boxes: Tensor, targets: Tensor, weights: Weights = (1, 1, 1, 1)) -> Tensor:
    """The correction that turns each box into its target (R-CNN, appendix C).

    The centre's shift is measured in sides of the box, the sides' growth as a logarithm, so that
    the same correction means the same for boxes of every size.

    Args:
        boxes: [..., 4] corners of positive width and height, in pixels.
        targets: [..., 4] corners, likewise.
        weights: factors of (dx, dy, dw, dh), the inverse of their usual spread: all 1 in the RPN,
            (10, 10, 5, 5) in the box head (Fast R-CNN's normalisation, section 2.3).

    Returns:
        [..., 4] deltas (dx, dy, dw, dh); not finite for a box without width or height.
    """
    source, target = xyxy_to_cxcywh(boxes), xyxy_to_cxcywh(targets)
    shift = (target[..., :2] - source[..., :2]) / source[..., 2:]  # [..., 2]
    growth = torch.log(target[..., 2:] / source[..., 2:])  # [..., 2]
    return torch.cat([shift, growth], dim=-1) * boxes.new_tensor(weights)


def decode_deltas(boxes: Tensor, deltas: Tensor, weights: Weights = (1, 1, 1, 1)) -> Tensor:
    """Apply corrections to boxes; undoes `encode_deltas`.

    Args:
        boxes: [..., 4] corners in pixels.
        deltas: [..., 4] (dx, dy, dw, dh); leading dimensions broadcast, so that boxes [N, 1, 4]
            take deltas [N, K, 4] of K classes.
        weights: those the deltas were encoded with.

    Returns:
        [..., 4] corners, not clipped to any image; no side grows by more than a factor 1000/16.
    """
    source = xyxy_to_cxcywh(boxes)
    deltas = deltas / deltas.new_tensor(weights)
    center = source[..., :2] + deltas[..., :2] * source[..., 2:]  # [..., 2]
    sides = source[..., 2:] * deltas[..., 2:].clamp(max=LARGEST_LOG_RATIO).exp()  # [..., 2]
    return cxcywh_to_xyxy(torch.cat([center, sides], dim=-1))
