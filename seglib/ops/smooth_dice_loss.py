"""DETR's dice loss: plain sums, smoothed by one pixel."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive

SMOOTHING = 1.0  # added to numerator and denominator, so that an empty pair has no loss


def _naive_smooth_dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One mask at a time, one pixel at a time."""
    _check(logits, targets)
    losses = []
    for mask, truth in zip(logits.flatten(1), targets.to(logits).flatten(1), strict=True):
        shared = total = mask.sum() * 0
        for logit, t in zip(mask, truth, strict=True):
            p = logit.sigmoid()
            shared, total = shared + p * t, total + p + t
        losses.append(1 - (2 * shared + SMOOTHING) / (total + SMOOTHING))
    return torch.stack(losses) if losses else logits.flatten(1).sum(1)


@primitive(naive=_naive_smooth_dice_loss)
def smooth_dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """1 − (2 Σ p t + 1) / (Σ p + Σ t + 1), for each mask (as in DETR's and MaskFormer's code).

    SOLO's dice loss (`squared_dice_loss`) has squares in the denominator and no added pixel.

    Args:
        logits: float [N, …], the pixels of N masks.
        targets: [N, …], 0 or 1, of any type.

    Returns:
        [N] in 0…1; close to 0 for a perfect mask.

    Raises:
        SeglibError: the shapes differ.
    """
    _check(logits, targets)
    p, t = logits.flatten(1).sigmoid(), targets.to(logits).flatten(1)  # [N, P] each
    shared, total = (p * t).sum(1), p.sum(1) + t.sum(1)  # [N] each
    return 1 - (2 * shared + SMOOTHING) / (total + SMOOTHING)


def _check(logits: Tensor, targets: Tensor) -> None:
    if logits.shape != targets.shape:
        raise SeglibError(
            f"smooth_dice_loss: targets {list(targets.shape)} must have the shape of the logits, "
            f"{list(logits.shape)}"
        )
