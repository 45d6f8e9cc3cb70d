"""The pixel-level module's decoder: an FPN that ends in one feature vector per pixel.

    c5 --3x3, norm, ReLU----------------------> p5
                                                | x2 nearest
    c4 --1x1, norm----------------------------> + --3x3, norm, ReLU--> p4
                                                  …
    c2 --1x1, norm----------------------------> + --3x3, norm, ReLU--> p2 --conv--> mask features

The backbone's maps c2 to c5 come in from the left; each has half the stride of the one above it.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seglib.nn.layers import Conv2d
from seglib.nn.norm import make_norm
from seglib.ops.upsampling import interpolate


class PixelDecoder(nn.Module):
    """Backbone maps to a pyramid and to mask features.

    Args:
        in_channels: of the backbone's maps, finest first.
        channels: of every level of the pyramid.
        mask_channels: of the mask features.
        kernel: side of the last convolution: 3 in MaskFormer, 1 in Mask2Former.
    """

    def __init__(
        self, in_channels: Sequence[int], channels: int, mask_channels: int, kernel: int = 3
    ) -> None:
        super().__init__()
        *finer, deepest = in_channels
        self.lateral = nn.ModuleList(
            nn.Sequential(Conv2d(c, channels, 1, bias=False), make_norm("group", channels))
            for c in finer
        )
        self.output = nn.ModuleList(
            nn.Sequential(
                Conv2d(c, channels, 3, padding=1, bias=False),
                make_norm("group", channels),
                nn.ReLU(inplace=True),
            )
            for c in (*[channels] * len(finer), deepest)
        )
        self.mask_features = Conv2d(channels, mask_channels, kernel, padding=kernel // 2)
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
        """Backbone maps, finest first -> pyramid [B, F, H_l, W_l] likewise, [B, M, H_0, W_0]."""
        merged = self.output[-1](features[-1])  # [B, F, H_l, W_l], like all maps below
        pyramid = [merged]
        for lateral, output, c in zip(
            self.lateral[::-1], self.output[-2::-1], features[-2::-1], strict=True
        ):
            size = (c.shape[-2], c.shape[-1])
            merged = output(lateral(c) + interpolate(merged, size, "nearest"))
            pyramid.insert(0, merged)
        return tuple(pyramid), self.mask_features(merged)
