"""Create a normalisation layer by name, so that a network can be trained with any of them."""

from __future__ import annotations

import math
from typing import Literal

from torch import nn

from seglib.errors import SeglibError
from seglib.nn.layers import BatchNorm2d, FrozenBatchNorm2d, GroupNorm

Norm = Literal["none", "batch", "frozen", "group"]


def make_norm(norm: Norm, channels: int) -> nn.Module:
    """A normalisation layer for a [B, channels, H, W] tensor.

    Args:
        norm: "batch" (statistics of the batch in training), "frozen" (batch norm with fixed
            statistics and affine, for small batches on loaded weights), "group" (Wu & He 2018;
            the same in training and evaluation, and on any number of processes) or "none".
        channels: number of channels; "group" has the largest number of groups, at most 32, that
            divides it.

    Raises:
        SeglibError: an unknown name.
    """
    if norm == "batch":
        return BatchNorm2d(channels)
    if norm == "frozen":
        return FrozenBatchNorm2d(channels)
    if norm == "group":
        return GroupNorm(math.gcd(channels, 32), channels)
    if norm == "none":
        return nn.Identity()
    raise SeglibError(f"unknown norm {norm!r}: choose batch, frozen, group or none")
