"""Small arguments for every primitive, for tests that run all of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def primitive_cases() -> dict[str, tuple[Any, ...]]:
    """Positional arguments by the primitive's name, small enough for the naive bodies."""
    x, weight = torch.rand(2, 4, 6, 6), torch.rand(4, 4, 3, 3)
    masks = torch.rand(5, 6, 7) > 0.5
    rois = torch.cat([torch.tensor([[0.0], [1.0], [0.0]]), _boxes(3)], dim=1)  # [3, 5]
    logits, truth = torch.randn(3, 5, 4), torch.rand(3, 5, 4) > 0.5
    tokens, projection = torch.randn(2, 5, 8), torch.randn(24, 8)
    return {
        "attention": (tokens, tokens[:, :4], tokens[:, 1:], torch.eye(5, 4, dtype=torch.bool)),
        "batch_norm": (x, torch.zeros(4), torch.ones(4), torch.rand(4), torch.rand(4), True),
        "bilinear_kernel": (4,),
        "box_iou": (_boxes(4), _boxes(3)),
        "conv2d": (x, weight, torch.rand(4), 1, 1),
        "coord_conv": (x, torch.rand(4, 6, 3, 3), torch.rand(4), 1),
        "conv_transpose2d": (x, weight, torch.rand(4), 2, 1),
        "cross_entropy": (x, torch.randint(0, 4, (2, 6, 6))),
        "fast_nms": (_boxes(12), torch.rand(12), 0.3),
        "generalized_box_iou": (_boxes(4), _boxes(3)),
        "hungarian": (torch.rand(4, 6),),
        "interpolate": (x, (9, 11)),
        "mask_iou": (masks, masks[:2], torch.tensor([True, False])),
        "matrix_nms": (torch.rand(6, 6), torch.rand(6), torch.tensor([1, 1, 2, 1, 2, 1])),
        "max_pool2d": (x, 3, 2, 1),
        "multi_head_attention": (
            *(tokens, tokens, tokens, projection, torch.rand(24), projection[:8], torch.rand(8)),
            2,
        ),
        "nms": (_boxes(12), torch.rand(12), 0.3),
        "points_nms": (x,),
        "polar_iou": (torch.rand(3, 8) + 0.1, torch.rand(3, 8) + 0.1),
        "roi_align": (x, rois, 2, 0.5),
        "roi_pool": (x, rois, 2, 0.5),
        "sigmoid_focal_loss": (x, torch.rand(x.shape) > 0.8),
        "squared_dice_loss": (x, torch.rand(x.shape) > 0.5),
        "smooth_dice_loss": (logits, truth),
    }


def _boxes(count: int) -> Tensor:
    """[count, 4] corners within 12 px."""
    corners = torch.rand(count, 2) * 6
    return torch.cat([corners, corners + 1 + 5 * torch.rand(count, 2)], dim=1)
