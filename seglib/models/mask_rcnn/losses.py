"""The losses of the R-CNN family: objectness, class, box and mask.

The number to divide by is an argument, since processes that train together share it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.ops.losses import cross_entropy


def smooth_l1(prediction: Tensor, target: Tensor, beta: float = 0.0) -> Tensor:
    """L1 distance, quadratic near zero, summed (Fast R-CNN, equation 3, with beta 1).

    Args:
        prediction: any shape.
        target: the same shape.
        beta: a difference d counts d²/(2 beta) if |d| < beta, else |d| − beta/2; 0 is plain L1.
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
    """Objectness loss and box loss of anchors (Faster R-CNN, section 3.1.2).

    Args:
        logits: [N] objectness of anchors.
        deltas: [N, 4] predicted corrections.
        labels: int64 [N], 1 positive, 0 negative, −1 not sampled.
        targets: [N, 4] true corrections; only those of positives count.
        count: the number of sampled anchors, by which both sums are divided.
        beta: see `smooth_l1`.

    Returns:
        two scalars, the binary cross-entropy and the smooth L1 distance.
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
    """Class loss and box loss of sampled boxes (Fast R-CNN, section 2.3).

    Args:
        logits: [R, K] of K = C + 1 classes, 0 is background.
        deltas: [R, K, 4] corrections per class, or [R, 1, 4] for all classes together.
        labels: int64 [R], 0…C.
        targets: [R, 4] true corrections; only those of the foreground count.
        count: the number of sampled boxes, by which both sums are divided. It includes the
            background, so that an image with few objects does not give their boxes more weight.
        beta: see `smooth_l1`.

    Returns:
        two scalars, the cross-entropy and the smooth L1 distance.
    """
    foreground = (labels > 0).nonzero().squeeze(1)  # [P]
    column = labels[foreground] if deltas.shape[1] > 1 else 0  # each box's own class
    class_loss = cross_entropy(logits, labels, reduction="sum")
    box_loss = smooth_l1(deltas[foreground, column], targets[foreground], beta)  # of [P, 4]
    return class_loss / count, box_loss / count


def mask_loss(logits: Tensor, labels: Tensor, targets: Tensor, count: Tensor | float) -> Tensor:
    """Binary cross-entropy of each pixel of the true class's mask (Mask R-CNN, section 3).

    The masks of the other classes have no loss: the box head decides the class, so masks need not
    compete for pixels.

    Args:
        logits: [P, K, M, M], one mask per class.
        labels: int64 [P], 1…C.
        targets: bool or float [P, M, M], in 0…1.
        count: the number of masks, by which the sum of their mean losses is divided.

    Returns:
        the loss, a scalar.
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
        targets: bool or float [P, M, M]; pixels of 0.5 or more belong to the object.
        count: as in `mask_loss`.

    Returns:
        the loss, a scalar.
    """
    classes = labels[:, None, None] * (targets >= 0.5)  # [P, M, M]
    pixels = logits.shape[-1] * logits.shape[-2]
    return cross_entropy(logits, classes, reduction="sum") / (count * pixels)
