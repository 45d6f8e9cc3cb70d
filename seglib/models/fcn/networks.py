"""FCN's networks: with skips on VGG (Long et al. 2015), and dilated on ResNet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.fcn.config import FCNConfig
from seglib.nn.layers import Conv2d, ConvTranspose2d, he_initialise
from seglib.nn.norm import make_norm
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet
from seglib.nn.vgg import VGG
from seglib.ops.grid import Grid, add_aligned, crop
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import bilinear_upsample_kernel, interpolate


@dataclass(eq=False)
class FCNOutput:
    """FCN's outputs for a batch, on the padded canvas.

    Attributes:
        logits: [B, C+1, H, W]; image b fills the top left `sizes[b]` pixels.
        scores: stride -> [B, C+1, h, w], the 1x1 scores before any fusion, for the strides 32, 16
            and 8 that the variant uses; in the dilated variant, only those of the last map.
        sizes: (height, width) of each image on the canvas.
        auxiliary: [B, C+1, H, W] logits of the dilated variant's second head in training, or None.
    """

    logits: Tensor
    scores: dict[int, Tensor]
    sizes: list[tuple[int, int]] = field(default_factory=list)
    auxiliary: Tensor | None = None


class SkipFCN(nn.Module):
    """FCN-32s, -16s and -8s. Layers are named as in the published networks.

    Attributes:
        output_stride: image pixels from one score to the next on the finest score map.
        grids: stride -> where the cells of that score map lie in the image.
    """

    def __init__(self, config: FCNConfig, classes: int) -> None:
        super().__init__()
        self.backbone = VGG(
            config.stages, norm=config.norm, first_padding=config.first_padding, ceil_mode=True
        )
        pool3, pool4, pool5 = self.backbone.channels
        width, kernel, padding = config.head_width, config.head_kernel, config.head_padding
        self.fc6 = Conv2d(pool5, width, kernel, padding=padding)
        self.norm6 = make_norm(config.norm, width)
        self.fc7 = Conv2d(width, width, kernel_size=1)
        self.norm7 = make_norm(config.norm, width)
        self.dropout = nn.Dropout(config.dropout)
        self.pool4_scale, self.pool3_scale = config.skip_scale
        he_initialise(self)

        inner = config.learn_upsampling != "none"
        stride = self.output_stride = int(config.variant.removesuffix("s"))
        self.score_fr = _score_layer(width, classes)
        self.score_pool4 = _score_layer(pool4, classes) if stride <= 16 else None
        self.upscore2 = bilinear_upsampling(classes, 2, learned=inner) if stride <= 16 else None
        self.score_pool3 = _score_layer(pool3, classes) if stride <= 8 else None
        self.upscore_pool4 = bilinear_upsampling(classes, 2, learned=inner) if stride <= 8 else None
        self.upscore = bilinear_upsampling(
            classes, stride, learned=config.learn_upsampling == "all"
        )
        grid3, grid4, grid5 = self.backbone.grids
        self.grids = {8: grid3, 16: grid4, 32: grid5.convolved(kernel, padding=padding)}

    def forward(self, x: Tensor) -> FCNOutput:
        """[B, 3, H, W] normalised -> logits [B, K, H, W] and the scores of every stride."""
        pool3, pool4, pool5 = self.backbone(x)  # each [B, C, h, w], strides 8, 16, 32
        fc6 = self.dropout(F.relu(self.norm6(self.fc6(pool5))))  # [B, width, h32, w32]
        fc7 = self.dropout(F.relu(self.norm7(self.fc7(fc6))))  # [B, width, h32, w32]
        scores = {32: self.score_fr(fc7)}  # [B, K, h32, w32]
        if self.score_pool4 is not None:
            scores[16] = self.score_pool4(pool4 * self.pool4_scale)  # [B, K, h16, w16]
        if self.score_pool3 is not None:
            scores[8] = self.score_pool3(pool3 * self.pool3_scale)  # [B, K, h8, w8]
        return FCNOutput(self.fuse(scores, (x.shape[-2], x.shape[-1])), scores)

    def fuse(self, scores: Mapping[int, Tensor], size: tuple[int, int]) -> Tensor:
        """Add the scores of all strides, coarse to fine, and upsample to pixels.

        Args:
            scores: stride -> [B, K, h, w], as `forward` gives them.
            size: (H, W) of the image.

        Returns:
            logits [B, K, H, W].
        """
        fused, grid = at_least_float32(scores[32]), self.grids[32]
        # bfloat16 is slow in grouped transposed convolutions and coarse for sums of logits.
        with torch.autocast(fused.device.type, enabled=False):
            for stride, double in ((16, self.upscore2), (8, self.upscore_pool4)):
                if double is not None:
                    skip = at_least_float32(scores[stride])  # [B, K, h, w] of this stride
                    fused, grid = add_aligned(
                        double(fused), grid.transposed(4, 2), skip, self.grids[stride]
                    )
            stride = self.output_stride
            logits = self.upscore(fused)  # [B, K, (h + 1) stride, (w + 1) stride]
        return crop(logits, grid.transposed(2 * stride, stride).offset_to(Grid()), size)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """Score layers by output; upsampling by input and output if it can mix classes."""
        names: dict[str, tuple[int, ...]] = {}
        for name, _ in self.named_parameters():
            if name.startswith("score_"):
                names[name] = (0,)
            elif name.startswith("upscore"):
                layer = cast(ConvTranspose2d, self.get_submodule(name.split(".")[0]))
                names[name] = (0, 1) if layer.groups == 1 else (0,)
        return names


def bilinear_upsampling(channels: int, factor: int, *, learned: bool) -> ConvTranspose2d:
    """A transposed convolution that starts as bilinear interpolation, each channel separately.

    Kernel 2 * factor, stride factor, no padding: [B, C, n, m] -> [B, C, (n+1) factor,
    (m+1) factor], half a kernel too much on every side, cropped later (section 3.3).

    Args:
        channels: K; one score map per class.
        factor: how many times finer.
        learned: whether training changes it. If so, it can also mix classes; if not, the weights
            between different classes would stay zero, so they are left out (`groups=K`).
    """
    kernel = bilinear_upsample_kernel(channels, factor)  # [K, K, 2 factor, 2 factor], diagonal
    groups = 1
    if not learned:
        kernel, groups = kernel.diagonal().permute(2, 0, 1)[:, None], channels
    layer = ConvTranspose2d(channels, channels, 2 * factor, factor, bias=False, groups=groups)
    layer.load_state_dict({"weight": kernel})
    return cast(ConvTranspose2d, layer.requires_grad_(learned))


class DilatedFCN(nn.Module):
    """torchvision's `fcn_resnet50`, by its state-dict names (backbone, classifier, aux_classifier).

    It loads `fcn_resnet50(aux_loss=True).state_dict()` strictly.

    Attributes:
        output_stride: image pixels from one score to the next.
    """

    def __init__(self, config: FCNConfig, classes: int) -> None:
        super().__init__()
        self.backbone = ResNet(
            Bottleneck if config.bottleneck else BasicBlock,
            config.blocks,
            width=config.width,
            replace_stride_with_dilation=(False, True, True),
            norm=config.norm,
        )
        *_, c4, c5 = self.backbone.channels
        self.output_stride = self.backbone.strides[-1]
        self.classifier = _fcn_head(c5, classes, config)
        self.aux_classifier = _fcn_head(c4, classes, config)

    def forward(self, x: Tensor) -> FCNOutput:
        """[B, 3, H, W] normalised -> logits [B, K, H, W], auxiliary logits in training."""
        features = self.backbone(x)  # [B, C_l, H_l, W_l] each
        score = at_least_float32(self.classifier(features.c5))  # [B, K, H/8, W/8]
        auxiliary = None
        if self.training:
            aux_score = at_least_float32(self.aux_classifier(features.c4))  # [B, K, H/8, W/8]
            auxiliary = _upsample(aux_score, x)  # [B, K, H, W]
        scores = {self.output_stride: score}
        return FCNOutput(_upsample(score, x), scores, auxiliary=auxiliary)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The last layers of both heads, along their outputs."""
        heads = ("classifier.4", "aux_classifier.4")
        return {f"{head}.{part}": (0,) for head in heads for part in ("weight", "bias")}


def _score_layer(channels: int, classes: int) -> Conv2d:
    """1x1 scores that start at zero: all classes equally likely, and a new skip adds nothing."""
    layer = Conv2d(channels, classes, kernel_size=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(cast(Tensor, layer.bias))
    return layer


def _fcn_head(channels: int, classes: int, config: FCNConfig) -> nn.Sequential:
    width = channels // 4
    return nn.Sequential(
        Conv2d(channels, width, kernel_size=3, padding=1, bias=False),
        make_norm(config.norm, width),
        nn.ReLU(inplace=True),
        nn.Dropout(config.dropout),
        Conv2d(width, classes, kernel_size=1),
    )


def _upsample(scores: Tensor, like: Tensor) -> Tensor:
    """[B, K, h, w] -> [B, K, H, W] of `like`, bilinearly."""
    return interpolate(scores, (like.shape[-2], like.shape[-1]), "bilinear")
