"""Losses that several paradigms share."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.primitives import primitive
from seglib.structures import IGNORE

Reduction = Literal["mean", "sum", "none"]


def _naive_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    ignore_index: int = IGNORE,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """One pixel at a time: log of the softmax's denominator minus the true class's logit."""
    _check(logits, labels, reduction)
    losses, norms = [], []
    for scores, label in zip(logits.movedim(1, -1).flatten(0, -2), labels.flatten(), strict=True):
        if label == ignore_index:
            losses.append(scores[:0].sum())  # 0, whatever the logits are
            norms.append(scores.new_zeros(()))
            continue
        highest = scores.max().detach()  # keeps exp() finite
        loss = highest + (scores - highest).exp().sum().log() - scores[label]
        class_weight = scores.new_ones(()) if weight is None else weight[label]
        losses.append(loss * class_weight)
        norms.append(class_weight)
    each = torch.stack(losses).reshape(labels.shape)
    return _reduce(each, torch.stack(norms), reduction)


def _scratch_cross_entropy(
    logits: Tensor,
    labels: Tensor,
    ignore_index: int = IGNORE,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """All pixels at once: log-softmax, then pick the true class of each."""
    _check(logits, labels, reduction)
    valid = labels != ignore_index
    safe = labels.where(valid, 0)  # 255 is not a class; its loss is masked out below
    highest = logits.amax(dim=1, keepdim=True).detach()  # [B, 1, …], keeps exp() finite
    shifted = logits - highest
    log_probabilities = shifted - shifted.exp().sum(dim=1, keepdim=True).log()  # [B, K, …]
    each = -log_probabilities.gather(1, safe.unsqueeze(1)).squeeze(1)  # [B, …]
    norm = valid.to(logits.dtype) if weight is None else weight[safe] * valid
    return _reduce((each * norm).where(valid, 0), norm, reduction)


@primitive(naive=_naive_cross_entropy, scratch=_scratch_cross_entropy)
def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    ignore_index: int = IGNORE,
    reduction: Reduction = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Minus the logarithm of the probability that the softmax gives the true class.

    Args:
        logits: [B, K, …] unnormalised scores.
        labels: int64 [B, …], 0…K−1, or `ignore_index` where there is no truth.
        ignore_index: positions with this label have no loss and no gradient.
        reduction: "mean" over the positions that are not ignored (weighted if `weight` is given;
            0, not NaN, if all are ignored), "sum", or "none".
        weight: [K], one per class; None means that all are 1.

    Returns:
        a scalar, or [B, …] for "none".

    Raises:
        SeglibError: labels and logits do not fit, or an unknown reduction.
    """
    _check(logits, labels, reduction)
    if reduction != "mean":
        return F.cross_entropy(
            logits, labels, weight, ignore_index=ignore_index, reduction=reduction
        )
    total = F.cross_entropy(logits, labels, weight, ignore_index=ignore_index, reduction="sum")
    valid = labels != ignore_index
    norm = valid if weight is None else weight[labels.where(valid, 0)] * valid
    return total / _positive(norm.sum())


def _reduce(each: Tensor, norm: Tensor, reduction: Reduction) -> Tensor:
    if reduction == "none":
        return each
    return each.sum() if reduction == "sum" else each.sum() / _positive(norm.sum())


def _positive(norm: Tensor) -> Tensor:
    """The normaliser, or 1 if it is 0, so that a batch without labels has a loss of 0."""
    return norm.where(norm > 0, 1)


def _check(logits: Tensor, labels: Tensor, reduction: str) -> None:
    if logits.shape[:1] + logits.shape[2:] != labels.shape:
        raise SeglibError(
            f"cross_entropy: logits {list(logits.shape)} = [B, K, …] do not fit labels "
            f"{list(labels.shape)} = [B, …]"
        )
    if reduction not in ("mean", "sum", "none"):
        raise SeglibError(f"cross_entropy: reduction must be mean, sum or none, not {reduction!r}")
