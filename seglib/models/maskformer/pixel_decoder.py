"""The pixel-level module's decoder: an FPN that ends in one feature vector per pixel.

    c5 --3x3, norm, ReLU----------------------> p5
                                                | x2 nearest
    c4 --1x1, norm----------------------------> + --3x3, norm, ReLU--> p4
                                                  …
    c2 --1x1, norm----------------------------> + --3x3, norm, ReLU--> p2 --conv--> mask features

The backbone's maps c5 to c2 are on the left; each has half the stride of the one above it. In
MaskFormer's models for COCO, c5 first passes through a transformer encoder (`DeepEncoder`);
Mask2Former's pixel decoder is in deformable_decoder.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglib.nn.layers import Conv2d
from seglib.nn.norm import make_norm
from seglib.nn.position import SinePosition
from seglib.nn.transformer import Encoder, as_sequence
from seglib.ops.upsampling import interpolate


class PixelDecoder(nn.Module):
    """Turn the backbone's maps into a pyramid and mask features.

    Args:
        in_channels: channels of the backbone's maps, finest first.
        channels: F, channels of every level of the pyramid.
        mask_channels: M, channels of the mask features.
        kernel: kernel size of the last convolution: 3 in MaskFormer, 1 in Mask2Former.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, mask_channels: int, kernel: int = 3
    ) -> None:
        super().__init__()
        *finer, deepest = in_channels
        self.lateral = nn.ModuleList(lateral_layer(c, channels) for c in finer)
        self.output = nn.ModuleList(
            output_layer(c, channels) for c in (*[channels] * len(finer), deepest)
        )
        self.mask_features = Conv2d(channels, mask_channels, kernel, padding=kernel // 2)
        initialise_convolutions(self)

    def forward(self, features: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Maps [B, C_l, H_l, W_l], finest first -> pyramid [B, F, H_l, W_l], [B, M, H_0, W_0]."""
        merged = self.output[-1](features[-1])  # [B, F, H_l, W_l], like all maps below
        pyramid = [merged]
        for lateral, output, c in zip(
            self.lateral[::-1], self.output[-2::-1], features[-2::-1], strict=True
        ):
            size = (c.shape[-2], c.shape[-1])
            merged = output(lateral(c) + interpolate(merged, size, "nearest"))  # at the size of c
            pyramid.insert(0, merged)
        return tuple(pyramid), self.mask_features(merged)


class DeepEncoder(nn.Module):
    """A transformer encoder, as in DETR: every position of c5 attends to all others.

    Args:
        in_channels: channels of c5.
        channels: F, channels of the output.
        layers: number of encoder layers.
        heads: number of heads of their attention.
        hidden: channels between their two feed-forward layers.
        dropout: probability during training.
    """

    def __init__(
        self, in_channels: int, channels: int, layers: int, heads: int, hidden: int, dropout: float
    ) -> None:
        super().__init__()
        self.input_proj = Conv2d(in_channels, channels, 1)
        self.position = SinePosition(channels)
        self.encoder = Encoder(layers, channels, heads, hidden, dropout)
        xavier_initialise(self.encoder)
        initialise_convolutions(self)

    def forward(self, c5: Tensor, like: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, F, h, w]; position embeddings have the dtype of `like`."""
        x = self.input_proj(c5)  # [B, F, h, w]
        place = as_sequence(positions_everywhere(self.position, c5, like))  # [B, h w, F]
        encoded: Tensor = self.encoder(as_sequence(x), place)  # [B, h w, F]
        return encoded.transpose(1, 2).unflatten(2, x.shape[-2:])  # [B, F, h, w]


def positions_everywhere(position: SinePosition, features: Tensor, like: Tensor) -> Tensor:
    """Position embeddings [B, D, h, w]; as published, the padding counts as part of the image."""
    batch, _, height, width = features.shape
    nothing = torch.zeros(batch, height, width, dtype=torch.bool, device=features.device)
    return position(nothing, like)


def xavier_initialise(module: nn.Module) -> None:
    """Initialise all matrices Xavier-uniform, as in DETR."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)


def lateral_layer(in_channels: int, channels: int) -> nn.Sequential:
    """A 1x1 convolution and norm for a map of the backbone."""
    return nn.Sequential(Conv2d(in_channels, channels, 1, bias=False), make_norm("group", channels))


def output_layer(in_channels: int, channels: int) -> nn.Sequential:
    """A 3x3 convolution, norm and ReLU that produce a level of the pyramid."""
    return nn.Sequential(
        Conv2d(in_channels, channels, 3, padding=1, bias=False),
        make_norm("group", channels),
        nn.ReLU(inplace=True),
    )


def initialise_convolutions(module: nn.Module) -> None:
    """Initialise all convolutions as detectron2's `c2_xavier_fill` does, biases at 0."""
    for layer in module.modules():
        if isinstance(layer, Conv2d):
            nn.init.kaiming_uniform_(layer.weight, a=1)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
