"""YOLACT's class and mask losses (sections 3.1 and 4): sums that the model divides by positives."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.models.yolact.masks import inside_boxes
from seglib.ops.boxes import box_area
from seglib.ops.losses import cross_entropy


def class_loss(logits: Tensor, labels: Tensor, negatives: int) -> Tensor:
    """Cross-entropy of positives and of the hardest negatives (SSD, section 2.2).

    Nearly all anchors are background; a loss over all of them would drown the few that are not.

    Args:
        logits: [B, N, K], background first.
        labels: int64 [B, N], 1…C positive, 0 background, −1 no loss.
        negatives: number of negatives per positive of the same image; an image without objects
            therefore has no class loss.

    Returns:
        the sum, a scalar.
    """
    chosen = (labels > 0) | hard_negatives(logits.detach(), labels, negatives)  # [B, N]
    return cross_entropy(logits[chosen], labels[chosen], reduction="sum")


def hard_negatives(logits: Tensor, labels: Tensor, negatives: int) -> Tensor:
    """The negatives of each image that the network most confidently takes for objects.

    Arguments as for `class_loss`.

    Returns:
        bool [B, N].
    """
    # −log of the background's probability: the loss that a negative would have.
    hardness = logits.logsumexp(dim=2) - logits[..., 0]  # [B, N]
    hardness = hardness.masked_fill(labels != 0, -torch.inf)  # only negatives are ranked
    rank = hardness.argsort(dim=1, descending=True).argsort(dim=1)  # [B, N]
    counts = negatives * (labels > 0).sum(dim=1, keepdim=True)  # [B, 1]
    return (rank < counts) & (labels == 0)


def mask_loss(logits: Tensor, targets: Tensor, boxes: Tensor) -> Tensor:
    """Binary cross-entropy inside the true boxes, divided by the boxes' areas (section 3.1).

    Cropping to the *true* box keeps masks of small objects sharp; dividing by its area makes small
    objects count as much as large ones.

    Args:
        logits: [n, h, w] assembled masks.
        targets: [n, h, w] in 0…1.
        boxes: [n, 4] true boxes in cells, of positive width and height.

    Returns:
        the sum over the masks, a scalar.
    """
    inside = inside_boxes(boxes, (logits.shape[-2], logits.shape[-1]))  # [n, h, w]
    pixels = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")  # [n, h, w]
    return ((pixels * inside).sum(dim=(1, 2)) / box_area(boxes)).sum()
