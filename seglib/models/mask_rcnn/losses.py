"""The losses of the R-CNN family: where is something, what is it, where exactly, which pixels.

Each takes the number to divide by, since several processes that train together share it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.losses import cross_entropy


def smooth_l1(prediction: Tensor, target: Tensor, beta: float = 0.0) -> Tensor:
    """Absolute difference with a rounded tip, summed (Fast R-CNN, equation 3).

    Args:
        prediction: any shape.
        target: the same shape.
        beta: differences below it count d²/(2 beta), others |d| − beta/2; 0 is plain L1.

    Returns:
        scalar.
    """
    difference = (prediction - target).abs()
    if beta == 0:
        return difference.sum()
    small = difference**2 / (2 * beta)
    return small.where(difference < beta, difference - beta / 2).sum()


def rpn_losses(
    logits: Tensor,
    deltas: Tensor,
    labels: Tensor,
    targets: Tensor,
    count: Tensor | float,
    beta: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Is there an object at this anchor, and how to correct it (Faster R-CNN, section 3.1.2).

    Args:
        logits: [N] objectness of anchors.
        deltas: [N, 4] predicted corrections.
        labels: int64 [N], 1 positive, 0 negative, −1 without loss.
        targets: [N, 4] true corrections; those of positives matter.
        count: what both sums are divided by: the anchors drawn.
        beta: of `smooth_l1`.

    Returns:
        scalar objectness loss (binary cross-entropy) and scalar box loss.
    """
    drawn, positive = labels >= 0, labels > 0
    truth = positive[drawn].to(logits.dtype)
    objectness = F.binary_cross_entropy_with_logits(logits[drawn], truth, reduction="sum")
    boxes = smooth_l1(deltas[positive], targets[positive], beta)
    return objectness / count, boxes / count


def box_losses(
    logits: Tensor,
    deltas: Tensor,
    labels: Tensor,
    targets: Tensor,
    count: Tensor | float,
    beta: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Which class is in this box, and how to correct the box for it (Fast R-CNN, section 2.3).

    Args:
        logits: [R, K] of K = C + 1 classes, 0 is background.
        deltas: [R, K, 4], corrections for each class, or [R, 1, 4] for all alike.
        labels: int64 [R], 0…C.
        targets: [R, 4] true corrections; those of the foreground matter.
        count: what both sums are divided by: the boxes drawn, background too. So a picture with few
            objects does not make their boxes weigh more.
        beta: of `smooth_l1`.

    Returns:
        scalar class loss (cross-entropy) and scalar box loss.
    """
    foreground = (labels > 0).nonzero().squeeze(1)
    column = labels[foreground] if deltas.shape[1] > 1 else 0
    classes = cross_entropy(logits, labels, reduction="sum")
    boxes = smooth_l1(deltas[foreground, column], targets[foreground], beta)
    return classes / count, boxes / count


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor, count: Tensor | float) -> Tensor:
    """Is this pixel the object's, asked of the true class alone (Mask R-CNN, section 3).

    The other classes' masks get no gradient: the box head has already named the object, so masks
    need not compete for pixels.

    Args:
        logits: [P, K, M, M] a mask for every class.
        labels: int64 [P], 1…C.
        targets: bool or float [P, M, M].
        count: what the sum of the masks' mean losses is divided by: the masks.

    Returns:
        scalar, binary cross-entropy.
    """
    chosen = logits[torch.arange(len(labels), device=labels.device), labels]  # [P, M, M]
    pixels = chosen.shape[-1] * chosen.shape[-2]
    loss = F.binary_cross_entropy_with_logits(chosen, targets.to(chosen.dtype), reduction="sum")
    return loss / (count * pixels)


def softmax_mask_loss(
    logits: Tensor, labels: Tensor, targets: Tensor, count: Tensor | float
) -> Tensor:
    """The ablation of `mask_loss`: classes compete for every pixel (Mask R-CNN, table 2b).

    Args:
        logits: [P, K, M, M], channel 0 is "not the object".
        labels: int64 [P], 1…C.
        targets: bool or float [P, M, M].
        count: as in `mask_loss`.

    Returns:
        scalar, cross-entropy over the K classes of each pixel.
    """
    classes = labels[:, None, None] * (targets >= 0.5)  # [P, M, M]
    pixels = logits.shape[-1] * logits.shape[-2]
    return cross_entropy(logits, classes, reduction="sum") / (count * pixels)
