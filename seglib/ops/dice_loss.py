"""SOLO's dice loss: how little a mask of probabilities overlaps the truth."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.precision import without_autocast
from seglib.primitives import primitive

SMOOTHING = 0.001  # added to both sums of squares, so that two empty masks do not divide by 0


def _naive_squared_dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """One mask at a time, one pixel at a time."""
    _check(probabilities, targets)
    losses = []
    for mask, truth in zip(
        probabilities.flatten(1), targets.to(probabilities).flatten(1), strict=True
    ):
        shared = predicted = true = mask.sum() * 0
        for p, t in zip(mask, truth, strict=True):
            shared, predicted, true = shared + p * t, predicted + p * p, true + t * t
        losses.append(1 - 2 * shared / (predicted + SMOOTHING + true + SMOOTHING))
    return torch.stack(losses) if losses else probabilities.flatten(1).sum(1)


def _scratch_squared_dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """All masks at once."""
    _check(probabilities, targets)
    p, t = probabilities.flatten(1), targets.to(probabilities).flatten(1)  # [N, P] each
    shared = (p * t).sum(1)  # [N]
    return 1 - 2 * shared / (p.square().sum(1) + SMOOTHING + t.square().sum(1) + SMOOTHING)


@primitive(naive=_naive_squared_dice_loss, scratch=_scratch_squared_dice_loss)
def squared_dice_loss(probabilities: Tensor, targets: Tensor) -> Tensor:
    """1 − 2 Σ p t / (Σ p² + Σ t²), for each mask (Milletari et al. 2016; SOLO, section 3.3.2).

    It is a ratio, so a small object counts as much as a large one. DETR's dice loss sums p and t in
    the denominator instead of their squares.

    Args:
        probabilities: float [N, …] in 0…1, the pixels of N masks.
        targets: [N, …] in 0…1, of any type; the loss is least at p = t.

    Returns:
        [N], 0 for a perfect mask; each sum of squares is enlarged by 0.001, as in SOLO's code.

    Raises:
        SeglibError: the shapes differ.
    """
    _check(probabilities, targets)
    p, t = probabilities.flatten(1), targets.to(probabilities).flatten(1)  # [N, P] each
    with without_autocast(p):  # bfloat16 would keep 8 bits of the sums
        # Sums the products as they are computed, without storing a matrix [N, P] of them.
        pairs = ((p, t), (p, p), (t, t))
        shared, predicted, true = (torch.linalg.vecdot(a, b) for a, b in pairs)  # [N] each
    return 1 - 2 * shared / (predicted + SMOOTHING + true + SMOOTHING)


def _check(probabilities: Tensor, targets: Tensor) -> None:
    if probabilities.shape != targets.shape:
        raise SeglibError(
            f"squared_dice_loss: targets {list(targets.shape)} must have the shape of the "
            f"probabilities, {list(probabilities.shape)}"
        )
