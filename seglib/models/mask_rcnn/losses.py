"""The losses of the R-CNN family: is there an object, which class, which box, which pixels.

Each takes the number to divide by, because processes that train together share it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.losses import cross_entropy


def smooth_l1(prediction: Tensor, target: Tensor, beta: float = 0.0) -> Tensor:
    """Absolute difference with a rounded tip, summed (Fast R-CNN, equation 3, with beta 1).

    Args:
        prediction: any shape.
        target: the same shape.
        beta: differences d below it count d²/(2 beta), others |d| − beta/2; 0 is plain L1.
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
    """Is there an object at this anchor, and where exactly (Faster R-CNN, section 3.1.2).

    Args:
        logits: [N] objectness of anchors.
        deltas: [N, 4] predicted corrections.
        labels: int64 [N], 1 positive, 0 negative, −1 not sampled.
        targets: [N, 4] true corrections; only those of positives count.
        count: both sums are divided by it: the number of sampled anchors.
        beta: of `smooth_l1`.

    Returns:
        scalar objectness loss (binary cross-entropy) and scalar box loss.
    """
    sampled, positive = labels >= 0, labels > 0  # [N]
    truth = positive[sampled].to(logits.dtype)  # [S]
    objectness_loss = F.binary_cross_entropy_with_logits(logits[sampled], truth, reduction="sum")
    box_loss = smooth_l1(deltas[positive], targets[positive], beta)  # of [P, 4]
    return objectness_loss / count, box_loss / count


def box_losses(
    logits: Tensor,
    deltas: Tensor,
    labels: Tensor,
    targets: Tensor,
    count: Tensor | float,
    beta: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Which class is in this box, and where exactly (Fast R-CNN, section 2.3).

    Args:
        logits: [R, K] of K = C + 1 classes, 0 is background.
        deltas: [R, K, 4] corrections per class, or [R, 1, 4] for all classes alike.
        labels: int64 [R], 0…C.
        targets: [R, 4] true corrections; only those of the foreground count.
        count: both sums are divided by it: the number of sampled boxes, background included, so
            that an image with few objects does not give their boxes more weight.
        beta: of `smooth_l1`.

    Returns:
        scalar class loss (cross-entropy) and scalar box loss.
    """
    foreground = (labels > 0).nonzero().squeeze(1)  # [P]
    column = labels[foreground] if deltas.shape[1] > 1 else 0  # each box's own class
    class_loss = cross_entropy(logits, labels, reduction="sum")
    box_loss = smooth_l1(deltas[foreground, column], targets[foreground], beta)  # of [P, 4]
    return class_loss / count, box_loss / count


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor, count: Tensor | float) -> Tensor:
    """Does this pixel belong to the object? Binary cross-entropy (Mask R-CNN, section 3).

    Only the true class's mask has a loss: the box head names the object, so the masks of the
    classes need not compete for pixels.

    Args:
        logits: [P, K, M, M], one mask per class.
        labels: int64 [P], 1…C.
        targets: bool or float [P, M, M].
        count: the sum of the masks' mean losses is divided by it: the number of masks.
    """
    chosen = logits[torch.arange(len(labels), device=labels.device), labels]  # [P, M, M]
    pixels = chosen.shape[-1] * chosen.shape[-2]
    loss = F.binary_cross_entropy_with_logits(chosen, targets.to(chosen.dtype), reduction="sum")
    return loss / (count * pixels)


def softmax_mask_loss(
    logits: Tensor, labels: Tensor, targets: Tensor, count: Tensor | float
) -> Tensor:
    """The ablation of `mask_loss`: a softmax over the classes per pixel (Mask R-CNN, table 2b).

    Args:
        logits: [P, K, M, M], channel 0 is "not the object".
        labels: int64 [P], 1…C.
        targets: bool or float [P, M, M].
        count: as in `mask_loss`.
    """
    classes = labels[:, None, None] * (targets >= 0.5)  # [P, M, M]
    pixels = logits.shape[-1] * logits.shape[-2]
    return cross_entropy(logits, classes, reduction="sum") / (count * pixels)
