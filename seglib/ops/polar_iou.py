"""Polar IoU: the overlap of two shapes that are given by rays from one centre."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive


def _naive_polar_iou(predicted: Tensor, true: Tensor) -> Tensor:
    """One shape at a time, one ray at a time."""
    _check(predicted, true)
    overlaps = []
    for one, other in zip(predicted, true.to(predicted), strict=True):
        shared = joint = one.sum() * 0
        for a, b in zip(one, other, strict=True):
            shared, joint = shared + torch.minimum(a, b), joint + torch.maximum(a, b)
        overlaps.append(shared / joint)
    return torch.stack(overlaps) if overlaps else predicted.sum(1)


@primitive(naive=_naive_polar_iou)
def polar_iou(predicted: Tensor, true: Tensor) -> Tensor:
    """Σ min(d, d*) / Σ max(d, d*) over the rays (Xie et al. 2020, section 3.4, equation 8).

    Areas in polar coordinates grow with the square of the distance; the paper leaves the square out
    and reports better results. Its loss is −ln of this ratio, in which the rays of a shape are
    learned together, whereas smooth L1 would regress each separately.

    Args:
        predicted: float [N, n] distances above 0.
        true: [N, n] distances above 0.

    Returns:
        [N], 1 where all rays agree.

    Raises:
        SeglibError: the shapes differ.
    """
    _check(predicted, true)
    true = true.to(predicted)
    return torch.minimum(predicted, true).sum(1) / torch.maximum(predicted, true).sum(1)  # [N]


def _check(predicted: Tensor, true: Tensor) -> None:
    if predicted.ndim != 2 or predicted.shape != true.shape:
        raise SeglibError(
            f"polar_iou needs distances [N, n] of both shapes along the same rays, got "
            f"{list(predicted.shape)} and {list(true.shape)}"
        )
