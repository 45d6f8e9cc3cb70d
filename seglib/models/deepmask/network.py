"""DeepMask's network: a backbone, a mask branch of low rank and a score branch, all sliding.

    patch [B, 3, P, P]                                an image gives the same at every window
      backbone        features [B, F, k, k]              stride 16 (8 in the small one)
      reduce       1x1 convolution, ReLU
      squeeze      linear over all k x k cells -> code [B, R]        nothing in between:
      decode       linear R -> M x M mask logits                     a matrix of rank R
      score        linear layers with ReLU -> one logit [B]

In the paper (VGG-A) both branches start from the backbone's features; in the released code
(ResNet-50) the code of rank R feeds both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from seglib.models.deepmask.sliding_linear import SlidingLinear
from seglib.nn.layers import Conv2d, MaxPool2d, he_initialise
from seglib.nn.resnet import ResNet
from seglib.nn.vgg import VGG
from seglib.ops.precision import at_least_float32


class WindowMaps(NamedTuple):
    """One answer a window; on a single patch h = w = 1.

    Attributes:
        codes: [B, R, h, w]; `WindowNetwork.decode` makes masks of them.
        scores: [B, h, w] logits.
    """

    codes: Tensor
    scores: Tensor


class WindowNetwork(nn.Module):
    """Masks and scores for all windows of an image at once.

    Args:
        backbone: from images [B, 3, H, W] to features of `channels` and `stride`.
        channels: F.
        cells: k, the window's side in cells.
        margin: cells to drop at every edge: context that only the backbone has seen.
        reduced: channels after the 1x1 convolution.
        rank: R of the mask layer.
        mask_size: M.
        score_widths: of the score branch's hidden layers.
        shared_code: the score branch reads the code (released) or the features (paper).
        dropout: in the score branch.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        cells: int,
        *,
        margin: int,
        reduced: int,
        rank: int,
        mask_size: int,
        score_widths: Sequence[int],
        shared_code: bool,
        dropout: float,
    ) -> None:
        super().__init__()
        self.backbone, self.margin, self.mask_size = backbone, margin, mask_size
        self.shared_code = shared_code
        self.reduce = nn.Sequential(Conv2d(channels, reduced, kernel_size=1), nn.ReLU(inplace=True))
        he_initialise(self.reduce)
        self.squeeze = SlidingLinear(reduced, rank, cells)
        self.decoder = nn.Linear(rank, mask_size**2)
        layers: list[nn.Module] = []
        if shared_code:
            layers.append(nn.Dropout(dropout))
            width = rank
        else:
            # The paper pools 2x2 with stride 2; stride 1 and dilation keep the windows' stride.
            layers.append(MaxPool2d(kernel_size=2, stride=1))
            first, *score_widths = score_widths
            layers.append(SlidingLinear(channels, first, cells // 2, dilation=2))
            layers += [nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = first
        for hidden in score_widths:
            layers += [SlidingLinear(width, hidden), nn.ReLU(inplace=True), nn.Dropout(dropout)]
            width = hidden
        self.score = nn.Sequential(*layers, SlidingLinear(width, 1))

    def forward(self, x: Tensor) -> WindowMaps:
        """Normalised [B, 3, H, W], context included -> one code and one score a window."""
        features = self.backbone(x)
        if self.margin:
            inner = slice(self.margin, -self.margin)
            features = features[:, :, inner, inner]
        codes = self.squeeze(self.reduce(features))  # [B, R, h, w]
        scores = self.score(codes if self.shared_code else features)
        return WindowMaps(codes, at_least_float32(scores)[:, 0])

    def decode(self, codes: Tensor) -> Tensor:
        """[N, R] codes -> [N, M, M] mask logits."""
        masks = at_least_float32(self.decoder(codes))
        return masks.view(-1, self.mask_size, self.mask_size)


class ResNetBackbone(ResNet):
    """A ResNet up to its third stage, whose map has stride 16, or 8 if that stage is dilated."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        del self.layer4

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[B, 3, H, W] -> c4."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        features: Tensor = self.layer3(self.layer2(self.layer1(x)))
        return features


class VGGBackbone(nn.Module):
    """VGG-A ("configuration A", 8 convolutions) without its last pool: stride 16."""

    def __init__(self, stages: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.features = VGG(stages).features[:-1]

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] -> [B, 512, H/16, W/16]."""
        features: Tensor = self.features(x)
        return features
