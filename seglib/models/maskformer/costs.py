"""Matching costs: how badly each query's mask fits each segment."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from seglib.ops.smooth_dice_loss import SMOOTHING


def focal_cost(logits: Tensor, truth: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """The sigmoid focal loss of every pair, averaged over the pixels.

    A pixel's loss depends on whether it lies inside the segment, so the sum over a segment's
    pixels is a matrix product with the segment's mask.

    Args:
        logits: [..., Q, P].
        truth: [..., G, P], 0 or 1, of the same type.
        alpha: weight of pixels inside the segment.
        gamma: exponent that reduces the loss of pixels that are already right.

    Returns:
        [..., Q, G].
    """
    p = logits.sigmoid()  # [..., Q, P]
    inside = alpha * (1 - p) ** gamma * F.softplus(-logits)
    outside = (1 - alpha) * p**gamma * F.softplus(logits)
    return _sum_over(inside, outside, truth) / logits.shape[-1]


def cross_entropy_cost(logits: Tensor, truth: Tensor) -> Tensor:
    """The binary cross-entropy of every pair, averaged over the pixels.

    Args:
        logits: [..., Q, P].
        truth: [..., G, P], 0 or 1, of the same type.

    Returns:
        [..., Q, G].
    """
    return _sum_over(F.softplus(-logits), F.softplus(logits), truth) / logits.shape[-1]


def dice_cost(logits: Tensor, truth: Tensor) -> Tensor:
    """`smooth_dice_loss` of every pair: [..., Q, P], [..., G, P] -> [..., Q, G]."""
    p = logits.sigmoid()
    shared = p @ truth.transpose(-2, -1)  # [..., Q, G]
    total = p.sum(dim=-1)[..., :, None] + truth.sum(dim=-1)[..., None, :]  # [..., Q, G]
    return 1 - (2 * shared + SMOOTHING) / (total + SMOOTHING)


def _sum_over(inside: Tensor, outside: Tensor, truth: Tensor) -> Tensor:
    """`inside` summed over each segment's pixels, and `outside` over the others."""
    columns = truth.transpose(-2, -1)  # [..., P, G]
    return (inside - outside) @ columns + outside.sum(dim=-1, keepdim=True)  # [..., Q, G]
