"""Layers of SOLO's heads: convolutions with group norm, some with coordinate channels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seglib import ops
from seglib.nn.layers import Conv2d
from seglib.nn.norm import make_norm
from seglib.ops.coord_conv import Axes, Sizes
from seglib.ops.focal_loss import focal_prior_bias


class CoordConv2d(Conv2d):
    """`Conv2d` with the cells' coordinates as further input channels, see `ops.coord_conv`.

    Args:
        in_channels: channels of the features, without the coordinates.
        out_channels: channels of the output.
        kernel_size: side of the kernel, odd; the output has the size of the input.
        axes: the coordinates to add.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, axes: Axes) -> None:
        inputs = in_channels + len(axes)
        super().__init__(inputs, out_channels, kernel_size, padding=kernel_size // 2, bias=False)
        self.axes = axes

    def forward(self, input: Tensor, spans: Sizes | None = None) -> Tensor:
        """[B, C, H, W] -> [B, O, H, W]; `spans` is the part of each map that is image."""
        padding = self.kernel_size[0] // 2
        return ops.coord_conv(input, self.weight, self.bias, padding, self.axes, spans)


class NormedConv(nn.Module):
    """Convolution, group norm, ReLU; with `axes`, the convolution is a `CoordConv2d`."""

    def __init__(
        self, in_channels: int, width: int, kernel_size: int = 3, axes: Axes | None = None
    ) -> None:
        super().__init__()
        if axes is None:
            padding = kernel_size // 2
            self.conv = Conv2d(in_channels, width, kernel_size, padding=padding, bias=False)
        else:
            self.conv = CoordConv2d(in_channels, width, kernel_size, axes)
        self.norm = make_norm("group", width)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor, spans: Sizes | None = None) -> Tensor:
        """[B, C, H, W] -> [B, width, H, W]; `spans` is used by coordinates only."""
        convolved = self.conv(x, spans) if isinstance(self.conv, CoordConv2d) else self.conv(x)
        return F.relu(self.norm(convolved), inplace=True)


class Tower(nn.Module):
    """Stacked 3x3 convolutions; with `axes`, the first one is a `CoordConv2d`."""

    def __init__(self, in_channels: int, width: int, layers: int, axes: Axes | None = None) -> None:
        super().__init__()
        first = NormedConv(in_channels, width, axes=axes)
        self.layers = nn.ModuleList([first, *(NormedConv(width, width) for _ in range(layers - 1))])

    def forward(self, x: Tensor, spans: Sizes | None = None) -> Tensor:
        """[B, C, H, W] -> [B, width, H, W]."""
        for layer in self.layers:
            x = layer(x, spans)
        return x


def output_conv(in_channels: int, out_channels: int, kernel_size: int, prior: bool) -> Conv2d:
    """A last layer with small weights; with `prior`, its initial probabilities are about 0.01."""
    conv = Conv2d(in_channels, out_channels, kernel_size, padding=kernel_size // 2)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.constant_(conv.bias, focal_prior_bias(0.01) if prior else 0.0)
    return conv
