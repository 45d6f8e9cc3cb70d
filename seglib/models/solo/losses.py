"""SOLO's losses: focal loss for the classes of all cells, dice loss for masks of positive cells."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seglib import ops
from seglib.distributed import global_mean_count
from seglib.models.solo.mask_maps import MaskMaps
from seglib.models.solo.targets import Assignment, mask_targets


def class_loss(logits: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Focal loss over all cells and classes, divided by the positive cells + 1 (official code).

    Args:
        logits: [B, C, S_l, S_l] per level.
        labels: int64 [B, N], 1…C, 0 for negatives.

    Returns:
        a scalar.
    """
    cells = torch.cat([level.flatten(2) for level in logits], 2)  # [B, C, N]
    classes = torch.arange(1, cells.shape[1] + 1, device=labels.device)  # [C]
    targets = labels[:, None] == classes[:, None]  # [B, C, N]
    positives = (labels > 0).sum()
    return ops.sigmoid_focal_loss(cells, targets) / global_mean_count(positives + 1)


def mask_loss(
    maps: MaskMaps, assignment: Assignment, masks: Tensor, binary: bool = False
) -> Tensor:
    """Mean dice loss of the positive cells of all levels and images (equation 4).

    Args:
        maps: the mask branch's outputs.
        assignment: the positive cells and their objects.
        masks: bool [G, H, W], the objects on the canvas.
        binary: see `SOLORules.binary_targets`.

    Returns:
        the loss, a scalar.
    """
    losses = []
    for index, probabilities in maps.masks_of(assignment.cells):  # [n, h, w]
        size = (probabilities.shape[-2], probabilities.shape[-1])
        targets = mask_targets(masks, size, binary)  # [G, h, w]
        cell_targets = targets[assignment.objects[index]]  # [n, h, w]
        losses.append(ops.squared_dice_loss(probabilities, cell_targets))  # [n]
    return torch.cat(losses).sum() / global_mean_count(len(assignment.cells))
