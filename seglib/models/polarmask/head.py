"""The head, shared by all levels: the class at each location, and the distances to its contour."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from seglib.models.polarmask.config import PolarMaskConfig
from seglib.nn.layers import Conv2d
from seglib.nn.norm import make_norm
from seglib.ops.focal_loss import focal_prior_bias
from seglib.ops.precision import at_least_float32

SIDES = 4
INITIAL_STD = 0.01  # standard deviation of all initial weights, as in FCOS


@dataclass(eq=False)
class HeadOutput:
    """The head's outputs at L locations, level after level, row by row.

    Attributes:
        logits: [B, L, C] of the classes, without background.
        centerness: [B, L] logits.
        sides: [B, L, 4] distances in pixels from the location to the box's left, upper, right and
            lower side.
        rays: [B, L, n] distances in pixels to the contour along the rays.
    """

    logits: Tensor
    centerness: Tensor
    sides: Tensor
    rays: Tensor


class PolarHead(nn.Module):
    """Three towers of convolutions: for classes and centerness, for boxes, for rays.

    Distances are exp(s · x) with a learned factor s for each level, so that one head serves
    objects of all sizes (FCOS, Tian et al. 2019, section 3.2).

    Args:
        config: the model's.
        classes: C, without background.
    """

    def __init__(self, config: PolarMaskConfig, classes: int) -> None:
        super().__init__()
        self.class_tower, self.box_tower, self.ray_tower = (_tower(config) for _ in range(3))
        # Initial distances fit medium-sized objects of each level instead of being one pixel.
        finest = math.log(config.ranges[0] / 2)
        coarser = torch.arange(len(config.ranges)) * math.log(2)
        self.to_classes = _output(config.head_width, classes, focal_prior_bias())
        self.to_centerness = _output(config.head_width, 1)
        self.to_sides = _output(config.head_width, SIDES, finest)
        self.to_rays = _output(config.head_width, config.rays, finest)
        self.side_scales = nn.Parameter(1 + coarser / finest)
        self.ray_scales = nn.Parameter(1 + coarser / finest)

    def forward(self, pyramid: Sequence[Tensor]) -> HeadOutput:
        """Maps [B, F, H_l, W_l], finest first -> outputs for all their cells."""
        logits, centerness, sides, rays = (
            torch.cat([at_least_float32(map_).flatten(2).mT for map_ in maps], dim=1)  # [B, L, K]
            for maps in zip(*(self._level(features) for features in pyramid), strict=True)
        )
        cells = torch.tensor([p.shape[-2] * p.shape[-1] for p in pyramid], device=logits.device)
        side_scale, ray_scale = (
            scales.repeat_interleave(cells)[:, None]  # [L, 1]
            for scales in (self.side_scales, self.ray_scales)
        )
        return HeadOutput(
            logits,
            centerness.squeeze(2),  # [B, L]
            (sides * side_scale).exp(),  # [B, L, 4]
            (rays * ray_scale).exp(),  # [B, L, n]
        )

    def _level(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """[B, F, H, W] -> class and centerness logits, and log distances before scaling."""
        hidden = self.class_tower(features)  # [B, width, H, W]
        return (
            self.to_classes(hidden),  # [B, C, H, W]
            self.to_centerness(hidden),  # [B, 1, H, W]
            self.to_sides(self.box_tower(features)),  # [B, 4, H, W]
            self.to_rays(self.ray_tower(features)),  # [B, n, H, W]
        )


def _tower(config: PolarMaskConfig) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(config.head_convolutions):
        channels = config.head_width if index else config.fpn_width
        layers += [
            Conv2d(channels, config.head_width, kernel_size=3, padding=1, bias=False),
            make_norm("group", config.head_width),
            nn.ReLU(inplace=True),
        ]
        nn.init.normal_(layers[-3].weight, std=INITIAL_STD)  # type: ignore[arg-type]
    return nn.Sequential(*layers)


def _output(width: int, channels: int, bias: float = 0.0) -> Conv2d:
    layer = Conv2d(width, channels, kernel_size=3, padding=1)
    nn.init.normal_(layer.weight, std=INITIAL_STD)
    nn.init.constant_(layer.bias, bias)  # type: ignore[arg-type]
    return layer
