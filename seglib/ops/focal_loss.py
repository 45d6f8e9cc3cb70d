"""The sigmoid focal loss: a cross-entropy in which easy examples have little weight."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.ops.losses import Reduction
from seglib.primitives import primitive


def _naive_sigmoid_focal_loss(
    logits: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "sum",
) -> Tensor:
    """One logit at a time."""
    _check(logits, targets, reduction)
    losses = []
    for logit, target in zip(logits.flatten(), targets.to(logits).flatten(), strict=True):
        probability = logit.sigmoid()
        # −log p and −log(1 − p), without the logarithm of a number that is rounded to 0.
        if_positive, if_negative = _softplus(-logit), _softplus(logit)
        cross_entropy = target * if_positive + (1 - target) * if_negative
        missing = target * (1 - probability) + (1 - target) * probability
        weight = target * alpha + (1 - target) * (1 - alpha)
        losses.append(weight * missing**gamma * cross_entropy)
    each = torch.stack(losses).reshape(logits.shape) if losses else logits * 0
    return _reduce(each, reduction)


def _softplus(x: Tensor) -> Tensor:
    """log(1 + exp(x)), finite for every x."""
    return torch.logaddexp(x, torch.zeros_like(x))


def _scratch_sigmoid_focal_loss(
    logits: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "sum",
) -> Tensor:
    """All logits at once: p_t is the predicted probability of the true label."""
    _check(logits, targets, reduction)
    targets = targets.to(logits)
    cross_entropy = _softplus(logits) - logits * targets  # −log p_t for targets of 0 and 1
    probabilities = logits.sigmoid()
    truth = probabilities * targets + (1 - probabilities) * (1 - targets)  # p_t
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return _reduce(weight * (1 - truth) ** gamma * cross_entropy, reduction)


@primitive(naive=_naive_sigmoid_focal_loss, scratch=_scratch_sigmoid_focal_loss)
def sigmoid_focal_loss(
    logits: Tensor,
    targets: Tensor,
    alpha: float = 0.25,
    gamma: float = 2.0,
    reduction: Reduction = "sum",
) -> Tensor:
    """−α_t (1 − p_t)^γ log p_t, where p_t is the predicted probability of the truth.

    Perhaps one cell in a thousand has an object. The others are soon classified well, but together
    their small losses would outweigh its loss: the factor (1 − p_t)^γ reduces them (Lin et al.
    2017, "Focal loss for dense object detection", section 3).

    Args:
        logits: float, any shape; one binary decision each.
        targets: the same shape, any type: 1 for positives, 0 for negatives, or in between.
        alpha: weight of positives; that of negatives is 1 − alpha.
        gamma: how strongly easy examples are reduced; 0 gives the weighted cross-entropy.
        reduction: "sum" (the paper divides it by the number of positives), "mean" or "none".

    Returns:
        a scalar, or the loss of each logit for "none".

    Raises:
        SeglibError: logits and targets have different shapes, or an unknown reduction.
    """
    _check(logits, targets, reduction)
    targets = targets.to(logits)
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    # 1 − p_t = p + t − 2 p t, in fewer passes over memory than the two cases of `scratch`.
    probabilities = logits.sigmoid()
    missing = probabilities + targets - 2 * probabilities * targets
    weight = (1 - alpha) + (2 * alpha - 1) * targets
    return _reduce(weight * missing**gamma * cross_entropy, reduction)


def focal_prior_bias(probability: float = 0.01) -> float:
    """The bias with which a last layer starts at a small probability for every class.

    Without it, the many negatives would dominate the first steps (section 4.1, initialisation).
    """
    return -math.log((1 - probability) / probability)


def _reduce(each: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.sum() / max(each.numel(), 1)


def _check(logits: Tensor, targets: Tensor, reduction: str) -> None:
    if logits.shape != targets.shape:
        raise SeglibError(
            f"sigmoid_focal_loss: targets {list(targets.shape)} must have the shape of the logits, "
            f"{list(logits.shape)}: give every class its own 0 or 1"
        )
    if reduction not in ("mean", "sum", "none"):
        raise SeglibError(
            f"sigmoid_focal_loss: reduction must be mean, sum or none, not {reduction!r}"
        )
