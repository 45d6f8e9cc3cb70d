"""Matrix NMS: lower the scores of all duplicates at once, without a loop."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive

Decay = Literal["gaussian", "linear"]


def _naive_matrix_nms(
    ious: Tensor, scores: Tensor, labels: Tensor, decay: Decay = "gaussian", sigma: float = 2.0
) -> Tensor:
    """One pair at a time."""
    _check(ious, scores, labels, decay)
    order = scores.argsort(descending=True, stable=True).tolist()
    overlap = ious.tolist()
    worst = [0.0] * len(order)  # the largest overlap of each with better ones of its class
    factors = [1.0] * len(order)
    for rank, one in enumerate(order):
        for better in order[:rank]:
            if labels[better] == labels[one]:
                worst[one] = max(worst[one], overlap[better][one])
        for better in order[:rank]:
            shared = overlap[better][one] if labels[better] == labels[one] else 0.0
            if decay == "gaussian":
                factor = math.exp(-sigma * (shared**2 - worst[better] ** 2))
            else:
                factor = (1 - shared) / max(1 - worst[better], torch.finfo(ious.dtype).tiny)
            factors[one] = min(factors[one], factor)
    return scores * scores.new_tensor(factors)


@primitive(naive=_naive_matrix_nms)
def matrix_nms(
    ious: Tensor, scores: Tensor, labels: Tensor, decay: Decay = "gaussian", sigma: float = 2.0
) -> Tensor:
    """Lower each score by how much better detections of its class overlap it (SOLOv2, section 4).

    Greedy NMS treats one detection after another, because a suppressed one must not suppress.
    Here, every detection i lowers the score of every worse j by the factor f(iou(i, j)), divided by
    f of the largest overlap of i with better detections: if i is probably suppressed itself, its
    influence is small.

    Args:
        ious: [N, N], IoU of the detections' masks or boxes.
        scores: [N]; equal scores keep their order.
        labels: int64 [N]; detections of different classes do not lower one another.
        decay: f is exp(−sigma · iou²) ("gaussian") or 1 − iou ("linear").
        sigma: parameter of the Gaussian.

    Returns:
        [N] lowered scores, in the order of the arguments.

    Raises:
        SeglibError: the shapes do not fit, or the decay is unknown.
    """
    _check(ious, scores, labels, decay)
    if len(scores) == 0:
        return scores
    order = scores.argsort(descending=True, stable=True)  # [N]
    ranked, label = ious[order][:, order], labels[order]  # [N, N], [N]
    same = label[:, None] == label
    overlap = (ranked * same).triu(diagonal=1)  # [N, N]: row i lowers column j, i better than j
    worst = overlap.amax(0)[:, None]  # [N, 1]: how far i itself is lowered
    if decay == "gaussian":
        factors = (-sigma * (overlap.square() - worst.square())).exp()
    else:
        # Three equal detections give 0 / 0; it counts as 0, since the first suppresses the third.
        factors = (1 - overlap) / (1 - worst).clamp(min=torch.finfo(ious.dtype).tiny)
    # Rows that do not lower j have factors of at least 1, and the best detection's row has 1.
    return scores * factors.amin(0).to(scores)[order.argsort()]


def _check(ious: Tensor, scores: Tensor, labels: Tensor, decay: str) -> None:
    count = len(scores)
    if ious.shape != (count, count) or scores.shape != (count,) or labels.shape != (count,):
        raise SeglibError(
            f"matrix_nms needs overlaps [N, N], scores [N] and labels [N], got "
            f"{list(ious.shape)}, {list(scores.shape)} and {list(labels.shape)}"
        )
    if decay not in ("gaussian", "linear"):
        raise SeglibError(f"matrix_nms: decay must be gaussian or linear, not {decay!r}")
