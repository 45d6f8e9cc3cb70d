"""What tests of models share: small categories and targets, and weights worth comparing."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn

from seglib.structures import Categories, Category, Target

M = TypeVar("M", bound=nn.Module)


def some_categories(count: int = 3) -> Categories:
    """`count` things called thing1, thing2, …"""
    return Categories(Category(i, 10 * i, f"thing{i}") for i in range(1, count + 1))


def semantic_target(semantic: Tensor) -> Target:
    """A target of no objects, with this int64 [H, W] map of labels."""
    height, width = semantic.shape
    return Target(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        masks=torch.zeros(0, height, width, dtype=torch.bool),
        iscrowd=torch.zeros(0, dtype=torch.bool),
        area=torch.zeros(0),
        size=(height, width),
        semantic=semantic,
    )


def randomize_statistics(model: M) -> M:
    """Give every batch norm statistics and an affine that a mistake would show in."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    return model


def randomize_zeros(model: M, scale: float = 0.1) -> M:
    """Move parameters that start at zero (score layers, biases) off zero."""
    for parameter in model.parameters():
        if parameter.requires_grad and not parameter.any():
            nn.init.normal_(parameter, std=scale)
    return model
