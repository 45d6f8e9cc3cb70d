"""Mask2Former's pixel decoder: the coarse maps attend to each other before the fine one is added.

    c5, c4, c3 --1x1, norm--> [B, N, F] --deformable encoder--> p5, p4, p3
                                                                        | x2 bilinear
    c2 --1x1, norm----------------------------------------------------> + --3x3--> p2 --1x1-->
                                                                            mask features

Read from left to right: `-->` is a layer, `+` the sum of two maps of one size.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglib.models.maskformer.deformable import DeformableEncoder
from seglib.models.maskformer.pixel_decoder import (
    initialise_convolutions,
    lateral_layer,
    output_layer,
    positions_everywhere,
)
from seglib.nn.layers import Conv2d
from seglib.nn.norm import make_norm
from seglib.nn.position import SinePosition
from seglib.nn.transformer import as_sequence
from seglib.ops.upsampling import interpolate

POINTS = 4  # sampling points per head and map


class DeformablePixelDecoder(nn.Module):
    """Turn the backbone's maps into a pyramid and mask features (section 3.2.1).

    Args:
        in_channels: channels of the backbone's maps, finest first.
        channels: F, channels of every level of the pyramid.
        mask_channels: M, channels of the mask features.
        layers: number of encoder layers.
        heads: number of heads of their attention.
        hidden: channels between their two feed-forward layers.
        dropout: probability; 0 as published.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        channels: int,
        mask_channels: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        finest, *coarse = in_channels
        self.input_proj = nn.ModuleList(
            nn.Sequential(Conv2d(c, channels, 1), make_norm("group", channels))
            for c in coarse[::-1]
        )
        self.level_embed = nn.Parameter(torch.randn(len(coarse), channels))
        self.position = SinePosition(channels)
        self.encoder = DeformableEncoder(
            layers, channels, heads, hidden, len(coarse), POINTS, dropout
        )
        self.lateral = lateral_layer(finest, channels)
        self.output = output_layer(channels, channels)
        self.mask_features = Conv2d(channels, mask_channels, 1)
        initialise_convolutions(self)

    def forward(self, features: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Maps [B, C_l, H_l, W_l], finest first -> pyramid [B, F, H_l, W_l], [B, M, H_0, W_0]."""
        finest, *coarse = features
        projected = [layer(c) for layer, c in zip(self.input_proj, coarse[::-1], strict=True)]
        sizes = [(x.shape[-2], x.shape[-1]) for x in projected]
        places = [
            positions_everywhere(self.position, x, x) + embedding[:, None, None]  # [B, F, H_l, W_l]
            for x, embedding in zip(projected, self.level_embed, strict=True)
        ]
        x, place = (
            torch.cat([as_sequence(m) for m in maps], 1)  # [B, N, F]
            for maps in (projected, places)
        )
        encoded = self.encoder(x, place, sizes)  # [B, N, F]
        parts = encoded.split([height * width for height, width in sizes], dim=1)
        pyramid = [
            part.transpose(1, 2).unflatten(2, size)  # [B, F, H_l, W_l]
            for part, size in zip(parts, sizes, strict=True)
        ]
        size = (finest.shape[-2], finest.shape[-1])
        upsampled = interpolate(pyramid[-1], size, "bilinear")  # [B, F, H_0, W_0]
        merged = self.output(self.lateral(finest) + upsampled)  # [B, F, H_0, W_0]
        return (merged, *pyramid[::-1]), self.mask_features(merged)
