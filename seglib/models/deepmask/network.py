"""DeepMask's network: a backbone, a mask branch of low rank and a score branch, all sliding.

    patch [B, 3, P, P]                                  an image has the same at every window
      backbone     features [B, F, k, k]                stride 16 (pocket(): 8)
      reduce       1x1 convolution, ReLU
      squeeze      linear over all k x k cells -> code [B, R]        no nonlinearity between:
      decoder      linear R -> M x M mask logits                     a matrix of rank R
      score        linear layers with ReLU -> one logit [B]

In the paper (VGG-A) both branches start from the backbone's features; in the released code
(ResNet-50) the score branch reads the code of rank R.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from seglib import ops
from seglib.models.deepmask.config import DeepMaskConfig
from seglib.nn.layers import Conv2d, MaxPool2d, he_initialise
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet
from seglib.nn.vgg import VGG
from seglib.ops.precision import at_least_float32


class WindowMaps(NamedTuple):
    """One code and one score per window; on a single patch h = w = 1.

    Attributes:
        codes: [B, R, h, w]; `WindowNetwork.decode` turns them into masks.
        scores: [B, h, w] logits.
    """

    codes: Tensor
    scores: Tensor


class WindowNetwork(nn.Module):
    """Masks and scores for all windows of an image at once.

    Attributes:
        margin: cells dropped at every edge of the features, since only the backbone sees the
            context.
    """

    def __init__(self, config: DeepMaskConfig) -> None:
        super().__init__()
        self.mask_size = config.mask_size
        self.margin = config.context // config.stride
        self.score_reads_code = config.variant == "resnet"
        self.backbone: VGGBackbone | ResNetBackbone
        if config.variant == "vgg":
            self.backbone = VGGBackbone(config.vgg_stages)
        else:
            self.backbone = ResNetBackbone(config)
        channels, cells = self.backbone.out_channels, config.patch // config.stride
        reduce = Conv2d(channels, config.reduced, kernel_size=1)
        self.reduce = nn.Sequential(reduce, nn.ReLU(inplace=True))
        he_initialise(self.reduce)
        self.squeeze = SlidingLinear(config.reduced, config.rank, cells)
        self.decoder = nn.Linear(config.rank, config.mask_size**2)
        self.score = _score_branch(config, channels, cells)

    def forward(self, x: Tensor) -> WindowMaps:
        """Normalised [B, 3, H, W], context included -> one code and one score per window."""
        features = self.backbone(x)  # [B, F, H / stride, W / stride]
        if self.margin:
            inner = slice(self.margin, -self.margin)
            features = features[:, :, inner, inner]  # [B, F, h + k - 1, w + k - 1]
        codes = self.squeeze(self.reduce(features))  # [B, R, h, w]
        scores = self.score(codes if self.score_reads_code else features)  # [B, 1, h, w]
        return WindowMaps(at_least_float32(codes), at_least_float32(scores)[:, 0])

    def decode(self, codes: Tensor) -> Tensor:
        """[N, R] codes -> [N, M, M] mask logits."""
        masks = at_least_float32(self.decoder(codes))  # [N, M * M]
        return masks.view(-1, self.mask_size, self.mask_size)  # [N, M, M]


class SlidingLinear(nn.Linear):
    """A linear layer over k x k cells of a [C, h, w] map, at every place where they fit.

    On a map of exactly k x k cells it is a fully connected layer; on a larger one a k x k
    convolution with the same weights (Long et al. 2015, section 3.1; Sermanet et al. 2014).

    Args:
        channels: C.
        out_features: number of outputs at every place.
        kernel_size: k.
        dilation: distance between the cells that are read. A dilation of 2 after a 2x2 pooling with
            stride 1 instead of 2 scores every window at the stride before the pooling: the
            interleaving that DeepMask's score branch needs (Pinheiro et al. 2015, section 3.3).
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
            cells = input[..., :: self.dilation, :: self.dilation]  # [B, C, k, k]
            output = F.linear(cells.flatten(1), self.weight, self.bias)  # [B, out_features]
            return output[..., None, None]  # [B, out_features, 1, 1]
        kernel = self.weight.view(
            -1, self.channels, self.kernel_size, self.kernel_size
        )  # [out_features, C, k, k]
        return ops.conv2d(input, kernel, self.bias, dilation=self.dilation)


class ResNetBackbone(ResNet):
    """A ResNet up to its third stage, whose map has stride 16, or 8 if that stage is dilated."""

    def __init__(self, config: DeepMaskConfig) -> None:
        super().__init__(
            Bottleneck if config.bottleneck else BasicBlock,
            (*config.blocks, 1),
            width=config.width,
            stem=config.stem,
            replace_stride_with_dilation=(False, config.stride < config.backbone_stride, False),
        )
        del self.layer4
        self.out_channels = self.channels[2]

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[B, 3, H, W] -> [B, F, H / stride, W / stride]."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        features: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return features


class VGGBackbone(nn.Module):
    """VGG-A ("configuration A", 8 convolutions) without its last pool: stride 16."""

    def __init__(self, stages: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.features = VGG(stages).features[:-1]
        self.out_channels = stages[-1][-1]

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, F, H / 16, W / 16]."""
        features: Tensor = self.features(x)
        return features


def _score_branch(config: DeepMaskConfig, channels: int, cells: int) -> nn.Sequential:
    """Hidden layers and a score, on features ("vgg", the paper) or on the code ("resnet")."""
    layers: list[nn.Module] = []
    if config.variant == "vgg":
        # The paper pools 2x2 with stride 2; stride 1 and dilation keep the windows' stride.
        width, *hidden_widths = config.score_widths
        layers += [MaxPool2d(kernel_size=2, stride=1)]
        layers += [SlidingLinear(channels, width, cells // 2, dilation=2), nn.ReLU(inplace=True)]
    else:
        width, hidden_widths = config.rank, list(config.score_widths)
    layers += [nn.Dropout(config.dropout)]
    for hidden in hidden_widths:
        layers += [SlidingLinear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(config.dropout)]
        width = hidden
    return nn.Sequential(*layers, SlidingLinear(width, 1))
