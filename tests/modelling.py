"""What tests of models share: small categories, targets, and weights worth comparing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from seglib.ops.masks import masks_to_boxes
from seglib.structures import Categories, Category, Target

M = TypeVar("M", bound=nn.Module)


def some_categories(count: int = 3) -> Categories:
    """`count` things called thing1, thing2, …"""
    return Categories(Category(i, 10 * i, f"thing{i}") for i in range(1, count + 1))


def masks_target(
    masks: Tensor,
    labels: Sequence[int],
    *,
    iscrowd: Sequence[bool] | None = None,
    image_id: int = 0,
    semantic: Tensor | None = None,
) -> Target:
    """The target of these objects, bool [N, H, W]; boxes and areas are those of the masks."""
    crowd = [False] * len(masks) if iscrowd is None else iscrowd
    return Target(
        boxes=masks_to_boxes(masks),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
        iscrowd=torch.tensor(crowd, dtype=torch.bool),
        area=masks.flatten(1).sum(1).float(),
        size=(masks.shape[1], masks.shape[2]),
        image_id=image_id,
        semantic=semantic,
    )


def boxes_target(
    size: tuple[int, int],
    boxes: Sequence[Sequence[int]],
    labels: Sequence[int],
    *,
    iscrowd: Sequence[bool] | None = None,
    image_id: int = 0,
) -> Target:
    """The target of rectangles that fill these boxes, in whole pixels."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return masks_target(masks, labels, iscrowd=iscrowd, image_id=image_id)


def semantic_target(semantic: Tensor) -> Target:
    """A target without objects, with this int64 [H, W] label map."""
    nothing = torch.zeros(0, *semantic.shape, dtype=torch.bool)
    return masks_target(nothing, [], semantic=semantic)


def randomize_statistics(model: M) -> M:
    """Give every batch norm random statistics and affine, so that a mistake in them shows."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def randomize_zeros(model: M, scale: float = 0.1) -> M:
    """Give parameters that start at zero (score layers, biases) random values."""
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():
            nn.init.normal_(parameter, std=scale)
    return model
