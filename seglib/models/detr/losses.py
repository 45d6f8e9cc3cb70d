"""The losses of a set of predictions that are matched to objects (section 3.1)."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.distributed import global_mean_count
from seglib.ops.boxes import cxcywh_to_xyxy
from seglib.ops.focal_loss import sigmoid_focal_loss
from seglib.ops.generalized_iou import generalized_box_iou
from seglib.ops.losses import cross_entropy
from seglib.ops.smooth_dice_loss import smooth_dice_loss

NO_OBJECT = 0  # the class of queries that are matched to no object
UNUSED = -1  # a label that no query has, so that the loss ignores none


def class_losses(logits: Tensor, labels: Tensor, no_object_weight: float) -> list[Tensor]:
    """The cross-entropy of every layer, a weighted mean over all queries.

    Most queries have no object, so these have a small weight (0.1 as published), in the mean's
    denominator as well.

    Args:
        logits: [L, B, Q, K], class 0 is "no object".
        labels: int64 [L, B, Q].
        no_object_weight: weight of queries with label 0; that of the others is 1.

    Returns:
        the loss of each of the L layers, scalars.
    """
    weight = logits.new_ones(logits.shape[-1])
    weight[NO_OBJECT] = no_object_weight
    losses = []
    for layer_logits, layer_labels in zip(logits, labels, strict=True):
        total = cross_entropy(
            layer_logits.transpose(1, 2),  # [B, K, Q]
            layer_labels,
            ignore_index=UNUSED,
            reduction="sum",
            weight=weight,
        )
        losses.append(total / global_mean_count(weight[layer_labels].sum()))
    return losses


def box_losses(boxes: Tensor, truth: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """L1 distance and 1 − generalized IoU, each summed over the pairs of a layer.

    Args:
        boxes: [L, N, 4] of the matched queries: centre, width and height in 0…1 of the image's
            size.
        truth: [L, N, 4], the same for their objects.
        count: the number of objects, by which both are divided.

    Returns:
        the two losses of each layer, [L] each.
    """
    distance = (boxes - truth).abs().sum(dim=(1, 2))  # [L]
    pairs = (cxcywh_to_xyxy(corners)[..., None, :] for corners in (boxes, truth))  # [L, N, 1, 4]
    giou_loss = (1 - generalized_box_iou(*pairs)).sum(dim=(1, 2, 3))  # [L]
    return distance / count, giou_loss / count


def mask_losses(logits: Tensor, truth: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Mean focal loss over the pixels, and dice loss, each summed over the pairs of a layer.

    Args:
        logits: [L, N, …], the pixels of the matched queries' masks.
        truth: bool [L, N, …], the pixels of their objects' masks.
        count: the number of objects, by which both are divided.

    Returns:
        the two losses of each layer, [L] each.
    """
    logits, truth = logits.flatten(2), truth.flatten(2)  # [L, N, P]
    focal = sigmoid_focal_loss(logits, truth, reduction="none").mean(dim=2)  # [L, N]
    dice = smooth_dice_loss(logits.flatten(0, 1), truth.flatten(0, 1)).unflatten(
        0, logits.shape[:2]
    )  # [L, N]
    return focal.sum(dim=1) / count, dice.sum(dim=1) / count  # [L] each


def named(losses: Tensor | list[Tensor], name: str, weight: float) -> dict[str, Tensor]:
    """Weighted losses by name: the last layer's as `name`, the others with _1, _2, … appended."""
    *auxiliary, last = losses
    numbered = {f"{name}_{layer}": weight * loss for layer, loss in enumerate(auxiliary, start=1)}
    return {name: weight * last, **numbered}


def object_count(counts: list[int], like: Tensor) -> Tensor:
    """The mean number of objects per process, by which losses are divided; never 0."""
    return global_mean_count(torch.tensor(float(sum(counts)), device=like.device))
