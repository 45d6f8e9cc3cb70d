"""Fully connected layers that read a window of a feature map, here or everywhere at once."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from seglib import ops


class SlidingLinear(nn.Linear):
    """A linear layer over k x k cells of a [C, h, w] map, at every place where they fit.

    On a map of exactly k x k cells it is a fully connected layer; on a larger one a k x k
    convolution with the same weights (Long et al. 2015, section 3.1; Sermanet et al. 2014).

    Args:
        channels: C.
        out_features: numbers given at every place.
        kernel_size: k.
        dilation: from one cell read to the next. With 2, after a 2x2 pool that was given stride 1
            instead of 2, every window is answered at the old, finer stride: the interleaving that
            DeepMask's score branch needs (Pinheiro et al. 2015, section 3.3).
    """

    def __init__(
        self, channels: int, out_features: int, kernel_size: int = 1, dilation: int = 1
    ) -> None:
        super().__init__(channels * kernel_size**2, out_features)
        self.channels, self.kernel_size, self.dilation = channels, kernel_size, dilation
        self.span = (kernel_size - 1) * dilation + 1

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, h, w] -> [B, out_features, h - span + 1, w - span + 1]."""
        if input.shape[-2:] == (self.span, self.span):
            cells = input[..., :: self.dilation, :: self.dilation]
            return F.linear(cells.flatten(1), self.weight, self.bias)[..., None, None]
        kernel = self.weight.view(-1, self.channels, self.kernel_size, self.kernel_size)
        return ops.conv2d(input, kernel, self.bias, dilation=self.dilation)
