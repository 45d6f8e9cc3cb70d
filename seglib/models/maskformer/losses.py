"""Matching and mask losses, over all pixels (MaskFormer) or at sampled points (Mask2Former)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from seglib.models.detr.losses import mask_losses
from seglib.models.detr.matching import Matching, class_cost, match
from seglib.models.detr.objects import ObjectBatch
from seglib.models.maskformer.config import MaskFormerConfig
from seglib.models.maskformer.costs import cross_entropy_cost, dice_cost, focal_cost
from seglib.models.maskformer.points import (
    at_shared_points,
    random_points,
    sample_at,
    uncertain_points,
)
from seglib.ops.smooth_dice_loss import smooth_dice_loss
from seglib.ops.upsampling import interpolate


def match_segments(
    logits: Tensor,
    masks: Tensor,
    segments: ObjectBatch,
    config: MaskFormerConfig,
    generators: Sequence[Generator],
) -> Matching:
    """The matching of lowest cost between queries and segments in every layer.

    All pixels are compared at the size of the predictions or, with `config.points`, the same random
    points in all masks of an image.

    Args:
        logits: [L, B, Q, K].
        masks: [L, B, Q, h, w] logits.
        segments: G per image, with masks [B, G, H, W].
        config: contains the weights and the number of points.
        generators: one per image, on the CPU.
    """
    labels = segments.labels.expand(len(logits), -1, -1)  # [L, B, G]
    cost = config.class_weight * class_cost(logits, labels)  # [L, B, Q, G]
    if config.points is None:
        size = (masks.shape[-2], masks.shape[-1])
        truth = F.interpolate(segments.masks.to(masks.dtype), size=size, mode="nearest").flatten(2)
        pixels = masks.flatten(3)  # [L, B, Q, P], truth [B, G, P]
        mask_cost = focal_cost(pixels, truth)  # [L, B, Q, G]
    else:
        points = random_points([1] * len(generators), 1, config.points, generators)
        points = points[0].to(masks.device)  # [B, P, 2]
        truth = at_shared_points(segments.masks.to(masks.dtype), points)  # [B, G, P]
        pixels = torch.stack([at_shared_points(layer, points) for layer in masks])  # [L, B, Q, P]
        mask_cost = cross_entropy_cost(pixels, truth)  # [L, B, Q, G]
    cost = cost + config.mask_weight * mask_cost + config.dice_weight * dice_cost(pixels, truth)
    return match(cost, segments.counts)


def pixel_losses(masks: Tensor, truth: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Focal and dice loss over all pixels, at the size of the truth.

    Args:
        masks: [L, N, h, w] logits of the matched queries.
        truth: bool [L, N, H, W].
        count: the number of segments, by which both are divided.

    Returns:
        the two losses of each layer, [L] each.
    """
    size = (truth.shape[-2], truth.shape[-1])
    large = interpolate(masks.flatten(0, 1)[:, None], size, "bilinear")  # [L N, 1, H, W]
    return mask_losses(large.view(truth.shape), truth, count)  # [L] each


def point_losses(
    masks: Tensor, truth: Tensor, count: Tensor, candidates: Tensor, uniform: Tensor, uncertain: int
) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy and dice loss at points, most of them where the mask is uncertain.

    Args:
        masks: [L, N, h, w] logits of the matched queries.
        truth: bool [L, N, H, W].
        count: the number of segments, by which both are divided.
        candidates: [L, N, M, 2] random points, of which the most uncertain are used.
        uniform: [L, N, R, 2] random points, all of which are used.
        uncertain: how many of the candidates are used.

    Returns:
        the two losses of each layer, [L] each.
    """
    layers = len(masks)
    flat = masks.flatten(0, 1)  # [L N, h, w]
    truth = truth.flatten(0, 1).to(masks.dtype)  # [L N, H, W]
    candidates, uniform = candidates.flatten(0, 1), uniform.flatten(0, 1)  # [L N, M or R, 2] each
    with torch.no_grad():
        rows = uncertain_points(flat, candidates, uncertain)  # [L N, uncertain]
        chosen = candidates.gather(1, rows[..., None].expand(-1, -1, 2))  # [L N, uncertain, 2]
        points = torch.cat([chosen, uniform], dim=1)  # [L N, P, 2]
        targets = sample_at(truth, points)  # [L N, P]
    logits = sample_at(flat, points)  # [L N, P]
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(1)  # [L N]
    losses = (entropy, smooth_dice_loss(logits, targets))
    bce, dice = (loss.unflatten(0, (layers, -1)).sum(dim=1) / count for loss in losses)  # [L] each
    return bce, dice


def sampled_losses(
    masks: Tensor,
    truth: Tensor,
    count: Tensor,
    config: MaskFormerConfig,
    counts: Sequence[int],
    generators: Sequence[Generator],
) -> tuple[Tensor, Tensor]:
    """`point_losses` at random points; `counts` are the numbers of pairs in each image."""
    assert config.points is not None, "use pixel_losses for all pixels"
    uncertain = int(config.uncertain_share * config.points)
    oversampled = int(config.oversampling * config.points)
    sizes = (oversampled, config.points - uncertain)
    candidates, uniform = (
        random_points(counts, len(masks), size, generators).to(masks.device) for size in sizes
    )
    return point_losses(masks, truth, count, candidates, uniform, uncertain)
