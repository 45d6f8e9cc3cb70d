"""YOLACT's networks after the backbone: pyramid, protonet, prediction head (section 3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.nn.fpn import FPN
from seglib.nn.layers import Conv2d
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate


class Pyramid(nn.Module):
    """An FPN over C3, C4, C5 with ReLUs, and the coarser levels P6, P7… after it (section 4.1).

    Args:
        in_channels: channels of the backbone's maps, finest first.
        width: F, channels of every level.
        extra_levels: how many 3x3 convolutions of stride 2 follow P5.
    """

    def __init__(self, in_channels: Sequence[int], width: int, extra_levels: int) -> None:
        super().__init__()
        self.fpn = FPN(in_channels, width, pooled_level=False, upsampling="bilinear")
        self.downsample = nn.ModuleList(
            Conv2d(width, width, kernel_size=3, stride=2, padding=1) for _ in range(extra_levels)
        )
        xavier_initialise(self)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps [B, C_l, H_l, W_l] -> [B, F, H_l, W_l], then [B, F, ceil(H/2), ceil(W/2)]…"""
        levels = [F.relu(level) for level in self.fpn(features)]  # [B, F, H_l, W_l] each
        for convolution in self.downsample:  # no ReLU between them, as in the released code
            levels.append(convolution(levels[-1]))  # [B, F, ceil(H/2), ceil(W/2)]
        return tuple(levels)


class ProtoNet(nn.Module):
    """Image-wide prototypes from the finest level (section 3.1, figure 3).

    Args:
        in_channels: F, channels of the pyramid.
        width: channels of all layers.
        convolutions: number of 3x3 layers before the upsampling; 3 in the paper.
        prototypes: k, the number of prototypes.
    """

    def __init__(self, in_channels: int, width: int, convolutions: int, prototypes: int) -> None:
        super().__init__()
        inputs = [in_channels] + [width] * (convolutions - 1)
        self.coarse = nn.ModuleList(Conv2d(c, width, kernel_size=3, padding=1) for c in inputs)
        self.fine = Conv2d(width, width, kernel_size=3, padding=1)
        self.prototypes = Conv2d(width, prototypes, kernel_size=1)
        xavier_initialise(self)

    def forward(self, finest: Tensor) -> Tensor:
        """[B, F, H, W] -> prototypes [B, k, 2H, 2W], 0 or more."""
        hidden = finest
        for convolution in self.coarse:
            hidden = F.relu(convolution(hidden))  # [B, width, H, W]
        height, width = hidden.shape[-2:]
        hidden = interpolate(hidden, (2 * height, 2 * width))  # [B, width, 2H, 2W]
        hidden = F.relu(self.fine(hidden))  # [B, width, 2H, 2W]
        # Unbounded above, for very confident prototypes; the ReLU makes them easier to interpret
        # (section 3.1).
        return at_least_float32(F.relu(self.prototypes(hidden)))  # [B, k, 2H, 2W]


class AnchorOutputs(NamedTuple):
    """The head's outputs for every anchor, N = sum of H_l·W_l·A over the levels.

    Attributes:
        class_logits: [B, N, K], K = C + 1, background first.
        deltas: [B, N, 4], see box_coder.py.
        coefficients: [B, N, k] in −1…1.
    """

    class_logits: Tensor
    deltas: Tensor
    coefficients: Tensor


class PredictionHead(nn.Module):
    """Predict class, box and mask coefficients of every anchor, with layers shared by all levels.

    A lighter version of RetinaNet's head, with a third branch for the coefficients (section 4.1,
    figure 4).

    Args:
        in_channels: F, channels of the pyramid.
        width: channels of the layer that the three branches share.
        anchors: A, the number of anchors per cell.
        classes: K = C + 1, with background.
        prototypes: k, the number of prototypes.
    """

    def __init__(
        self, in_channels: int, width: int, anchors: int, classes: int, prototypes: int
    ) -> None:
        super().__init__()
        self.anchors = anchors
        self.shared = Conv2d(in_channels, width, kernel_size=3, padding=1)
        # Channels are ordered by class, then by anchor, so that a class is one block of rows.
        self.class_logits = Conv2d(width, classes * anchors, kernel_size=3, padding=1)
        self.deltas = Conv2d(width, anchors * 4, kernel_size=3, padding=1)
        self.coefficients = Conv2d(width, anchors * prototypes, kernel_size=3, padding=1)
        xavier_initialise(self)

    def forward(self, pyramid: Sequence[Tensor]) -> AnchorOutputs:
        """Levels [B, F, H_l, W_l] -> outputs for all anchors, level after level."""
        levels = [self._of_level(level) for level in pyramid]
        logits, deltas, coefficients = (
            at_least_float32(torch.cat(part, dim=1)) for part in zip(*levels, strict=True)
        )  # [B, N, K], [B, N, 4], [B, N, k]
        # The tanh lets a coefficient subtract its prototype (section 3.2).
        return AnchorOutputs(logits, deltas, coefficients.tanh())

    def _of_level(self, level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """[B, F, H, W] -> [B, H·W·A, K], [B, H·W·A, 4], [B, H·W·A, k]."""
        hidden = F.relu(self.shared(level))  # [B, width, H, W]
        logits = self.class_logits(hidden).unflatten(1, (-1, self.anchors))  # [B, K, A, H, W]
        per_anchor = [
            branch(hidden).unflatten(1, (self.anchors, -1)).permute(0, 3, 4, 1, 2)
            for branch in (self.deltas, self.coefficients)
        ]  # [B, H, W, A, 4], [B, H, W, A, k]
        logits = logits.permute(0, 3, 4, 2, 1)  # [B, H, W, A, K]
        deltas, coefficients = (one.flatten(1, 3) for one in per_anchor)
        return logits.flatten(1, 3), deltas, coefficients


def xavier_initialise(network: nn.Module) -> None:
    """Initialise all convolutions as the released code does outside the backbone, biases at 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
