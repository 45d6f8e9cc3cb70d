"""FCN: Fully Convolutional Networks for Semantic Segmentation.

Long, Shelhamer, Darrell, CVPR 2015 (arXiv 1411.4038); extended in PAMI 2017 (1605.06211).

The idea: a classifier's fully connected layers are convolutions in disguise, so a network that
names one picture can name every place of a larger one. Its coarse map of scores is upsampled to
pixels by a transposed convolution, and scores from earlier, finer layers are added on the way.

    image [B, 3, H, W]
      VGG trunk      pool3 /8 -----------------.  pool4 /16 ------.  pool5 /32
                                               |                  |      | fc6, fc7 (convolutions)
      1x1 scores     score_pool3 [B, K, /8]    |  score_pool4     |  score_fr [B, K, /32]
                                               |                  |      | x2  upscore2
      FCN-32s: x32 straight from score_fr      |                  '----> + -- FCN-16s: x16
                                               |                         | x2  upscore_pool4
                                               '-----------------------> + -- FCN-8s: x8
      logits [B, K, H, W]                                 K = C + 1 classes, 0 is background

The fourth variant, "dilated", is torchvision's FCN-ResNet-50: no skips; the backbone keeps stride
8 by dilating its last two stages instead (Yu & Koltun 2016), and bilinear upsampling ends it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models.base import ModelConfig, Segmenter, Task, semantic_labels
from seglib.nn.distributed import global_mean_count, world_size
from seglib.nn.geometry import Grid, add_aligned, crop
from seglib.nn.init import he_initialise
from seglib.nn.layers import Conv2d, ConvTranspose2d
from seglib.nn.norm import Norm, make_norm
from seglib.nn.precision import at_least_float32
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet
from seglib.nn.vgg import VGG, VGG16_STAGES
from seglib.ops.losses import cross_entropy
from seglib.ops.upsampling import bilinear_upsample_kernel, interpolate
from seglib.structures import IGNORE, Categories, Prediction, Target

Variant = Literal["32s", "16s", "8s", "dilated"]
VARIANTS: tuple[Variant, ...] = ("32s", "16s", "8s", "dilated")


@dataclass(frozen=True)
class FCNConfig(ModelConfig):
    """How an FCN is built. The first block serves all variants, the others as they say.

    `image_size` is None in both presets: the network takes every size, so images keep theirs.

    Attributes:
        variant: which of the four networks.
        norm: normalisation after every convolution of trunk and head.
        dropout: after each head layer.
        reduction: loss averaged over the valid pixels ("mean") or not ("sum", as published).
        stages: 32s, 16s, 8s: widths of the VGG trunk's convolutions.
        first_padding: zeros around the image in the first convolution.
        head_width: channels of fc6 and fc7.
        head_kernel: side of fc6's kernel.
        head_padding: zeros around pool5 in fc6.
        learn_upsampling: "inner" (the paper: x2 steps learn, the last step stays bilinear),
            "none" (the released networks) or "all".
        skip_scale: factors on (pool4, pool3) before their scores; (0.01, 0.0001) lets "at-once"
            training of an 8s without normalisation start with all streams of like size.
        blocks: dilated: residual blocks of the four stages.
        bottleneck: dilated: bottleneck blocks instead of basic ones.
        width: dilated: channels of the first stage.
        auxiliary_weight: dilated: weight of the second head's loss, on the third stage.
    """

    variant: Variant = "8s"
    norm: Norm = "none"
    dropout: float = 0.5
    reduction: Literal["mean", "sum"] = "sum"

    stages: tuple[tuple[int, ...], ...] = VGG16_STAGES
    first_padding: int = 100
    head_width: int = 4096
    head_kernel: int = 7
    head_padding: int = 0
    learn_upsampling: Literal["none", "inner", "all"] = "inner"
    skip_scale: tuple[float, float] = (1.0, 1.0)

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    auxiliary_weight: float = 0.5

    @classmethod
    def pocket(cls, variant: Variant = "8s") -> FCNConfig:
        """About 2.4 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        The same network with fewer channels and batch normalisation. Most of its convolutions
        sit at strides 4 and 8, where a 16 px object still covers several cells, and none is
        spent on a second look at full resolution, which would take half of the time.
        """
        if variant == "dilated":
            return cls(
                variant=variant,
                norm="batch",
                dropout=0.1,
                reduction="mean",
                blocks=(2, 2, 2, 2),
                bottleneck=False,
                width=32,
            )
        return cls(
            variant=variant,
            norm="batch",
            dropout=0.1,
            reduction="mean",
            stages=((16,), (48,), (96, 96, 96), (160, 160, 160), (256, 256)),
            first_padding=1,
            head_width=256,
            head_kernel=3,
            head_padding=1,
        )

    @classmethod
    def paper(cls, variant: Variant = "8s") -> FCNConfig:
        """The published network: VGG-16 (134 M parameters), or torchvision's FCN-ResNet-50.

        Input is RGB with ImageNet statistics, which torchvision's VGG weights expect. The
        authors' own weights expect BGR less a mean, in 0…255: the same network once the first
        convolution's channels are turned round and scaled.
        """
        if variant == "dilated":
            return cls(variant=variant, norm="batch", dropout=0.1, reduction="mean")
        return cls(variant=variant)


@dataclass(eq=False)
class FCNOutput:
    """What FCN computes for a batch; everything lies on the padded canvas.

    Attributes:
        logits: [B, C+1, H, W]; image b fills the top left `sizes[b]` pixels.
        scores: stride -> [B, C+1, h, w], the 1x1 scores before any fusion: 32, 16, 8 as far as
            the variant goes; the dilated one has its last map only.
        sizes: (height, width) of each image on the canvas.
        auxiliary: [B, C+1, H, W], the second head of the dilated variant in training, or None.
    """

    logits: Tensor
    scores: dict[int, Tensor]
    sizes: list[tuple[int, int]] = field(default_factory=list)
    auxiliary: Tensor | None = None


class SkipFCN(nn.Module):
    """FCN-32s, -16s and -8s. Layers bear the names of the published networks.

    Attributes:
        grids: stride -> where the cells of that score map lie in the image.
    """

    def __init__(self, config: FCNConfig, classes: int) -> None:
        super().__init__()
        self.trunk = VGG(
            config.stages, norm=config.norm, first_padding=config.first_padding, ceil_mode=True
        )
        pool3, pool4, pool5 = self.trunk.channels
        width, kernel, padding = config.head_width, config.head_kernel, config.head_padding
        self.fc6 = Conv2d(pool5, width, kernel, padding=padding)
        self.norm6 = make_norm(config.norm, width)
        self.fc7 = Conv2d(width, width, kernel_size=1)
        self.norm7 = make_norm(config.norm, width)
        self.dropout = nn.Dropout(config.dropout)
        self.pool4_scale, self.pool3_scale = config.skip_scale
        he_initialise(self)

        inner = config.learn_upsampling != "none"
        stride = int(config.variant.removesuffix("s"))
        self.score_fr = _score_layer(width, classes)
        self.score_pool4 = _score_layer(pool4, classes) if stride <= 16 else None
        self.upscore2 = bilinear_upsampling(classes, 2, learned=inner) if stride <= 16 else None
        self.score_pool3 = _score_layer(pool3, classes) if stride <= 8 else None
        self.upscore_pool4 = bilinear_upsampling(classes, 2, learned=inner) if stride <= 8 else None
        self.upscore = bilinear_upsampling(
            classes, stride, learned=config.learn_upsampling == "all"
        )
        grid3, grid4, grid5 = self.trunk.grids
        self.grids = {8: grid3, 16: grid4, 32: grid5.convolved(kernel, padding=padding)}

    def forward(self, x: Tensor) -> FCNOutput:
        """[B, 3, H, W] normalised -> logits [B, K, H, W] and the scores of every stride."""
        pool3, pool4, pool5 = self.trunk(x)
        fc6 = self.dropout(F.relu(self.norm6(self.fc6(pool5))))
        fc7 = self.dropout(F.relu(self.norm7(self.fc7(fc6))))
        scores = {32: self.score_fr(fc7)}
        if self.score_pool4 is not None:
            scores[16] = self.score_pool4(pool4 * self.pool4_scale)
        if self.score_pool3 is not None:
            scores[8] = self.score_pool3(pool3 * self.pool3_scale)
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
                    skip = at_least_float32(scores[stride])
                    fused, grid = add_aligned(
                        double(fused), grid.transposed(4, 2), skip, self.grids[stride]
                    )
            stride = self.upscore.stride[0]
            logits = self.upscore(fused)
        return crop(logits, grid.transposed(2 * stride, stride).offset_to(Grid()), size)


def bilinear_upsampling(channels: int, factor: int, *, learned: bool) -> ConvTranspose2d:
    """A transposed convolution that starts as bilinear interpolation, each channel by itself.

    Kernel 2 * factor, stride factor, no padding: [B, C, n, m] -> [B, C, (n+1) factor,
    (m+1) factor], half a kernel too much on every side, cropped later (section 3.3).

    Args:
        channels: K; one score map a class.
        factor: how many times finer.
        learned: may training change it? If so it can also mix classes; if not, the weights
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
        self.classifier = _fcn_head(c5, classes, config)
        self.aux_classifier = _fcn_head(c4, classes, config)

    def forward(self, x: Tensor) -> FCNOutput:
        """[B, 3, H, W] normalised -> logits [B, K, H, W], auxiliary logits in training."""
        features = self.backbone(x)
        score = at_least_float32(self.classifier(features.c5))
        auxiliary = None
        if self.training:
            auxiliary = _upsample(at_least_float32(self.aux_classifier(features.c4)), x)
        scores = {self.backbone.strides[-1]: score}
        return FCNOutput(_upsample(score, x), scores, auxiliary=auxiliary)


class FCN(Segmenter):
    """Fully convolutional network: names every pixel, tells no two objects of a class apart.

    Attributes:
        network: `SkipFCN` or `DilatedFCN`, from normalised [B, 3, H, W] to `FCNOutput`.
    """

    name: ClassVar[str] = "fcn"
    tasks: ClassVar[tuple[Task, ...]] = ("semantic",)
    config_class: ClassVar[type[ModelConfig]] = FCNConfig
    config: FCNConfig

    def __init__(self, config: FCNConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        if config.variant not in VARIANTS:
            raise SeglibError(
                f"FCN has no variant {config.variant!r}: choose among {', '.join(VARIANTS)}"
            )
        build = DilatedFCN if config.variant == "dilated" else SkipFCN
        self.network: SkipFCN | DilatedFCN = build(config, len(categories) + 1)

    @property
    def output_stride(self) -> int:
        """Image pixels from one score to the next on the finest score map."""
        return 8 if self.config.variant == "dilated" else int(self.config.variant[:-1])

    def raw(self, x: Tensor) -> Tensor:
        """The network alone, for export: normalised [B, 3, H, W] -> logits [B, C+1, H, W]."""
        return cast(Tensor, self.network(x).logits)

    def forward(self, images: Sequence[Tensor]) -> FCNOutput:
        """Raw outputs of one padded batch; see `FCNOutput`."""
        batch = self.prepare(images)
        output: FCNOutput = self.network(batch.tensor)
        output.sizes = batch.sizes
        return output

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Cross-entropy of every pixel that is neither ignored (255) nor padding.

        Returns:
            "loss_semantic", and "loss_auxiliary" (already weighted) for the dilated variant in
            training mode. With `reduction="mean"` both divide by the valid pixels of all
            processes (see `global_mean_count`).

        Raises:
            SeglibError: a target without semantic labels, of another size than its image, or
                with a label that the model does not have.
        """
        output = self(images)
        canvas = (output.logits.shape[-2], output.logits.shape[-1])
        labels = semantic_labels(images, targets, output.sizes, canvas, len(self.categories))
        labels = labels.to(output.logits.device)
        losses = {"loss_semantic": self._pixel_loss(output.logits, labels)}
        if output.auxiliary is not None:
            auxiliary = self._pixel_loss(output.auxiliary, labels)
            losses["loss_auxiliary"] = self.config.auxiliary_weight * auxiliary
        return losses

    def predict(self, images: Sequence[Tensor]) -> list[Prediction]:
        """`Prediction.semantic` at each image's original size.

        Only images of equal size share a batch, so a prediction never depends on the padding
        that its companions would have caused. Logits, not labels, are resized.
        """
        predictions: dict[int, Prediction] = {}
        by_size: dict[torch.Size, list[int]] = {}
        for index, image in enumerate(images):
            by_size.setdefault(image.shape, []).append(index)
        with self.evaluating():
            for shape, indices in by_size.items():
                size = (shape[-2], shape[-1])
                logits = self.raw(self.prepare([images[i] for i in indices]).tensor)
                if logits.shape[-2:] != size:
                    logits = interpolate(logits, size, "bilinear")
                for index, semantic in zip(indices, logits.argmax(dim=1), strict=True):
                    predictions[index] = Prediction(size, self.categories, semantic=semantic)
        return [predictions[index] for index in range(len(images))]

    def load_coarser(self, other: FCN) -> None:
        """Start from a trained coarser network: a 16s from a 32s, an 8s from a 16s (section 4.2).

        Everything the two share is copied. The new skip's scores stay zero, so that at first
        this network says what the coarser one does, but for upsampling in two steps.

        Raises:
            SeglibError: `other` is not coarser, or its layers have other shapes.
        """
        ladder = VARIANTS[:3]
        mine, theirs = self.config.variant, other.config.variant
        if mine not in ladder or theirs not in ladder or ladder.index(mine) <= ladder.index(theirs):
            raise SeglibError(
                f"an FCN-{mine} cannot start from an FCN-{theirs}: take a coarser one"
            )
        state = {k: v for k, v in other.state_dict().items() if ".upscore." not in k}
        self._load_matching(state)

    def load_vgg(self, state: Mapping[str, Tensor]) -> None:
        """Start from an image classifier: torchvision's `vgg16` (or `vgg16_bn`) state dict.

        The trunk takes its convolutions. fc6 and fc7 take its fully connected layers, the
        flattened rows read as kernels (see `convolutionalize`); fc8, its 1000 classes, goes.

        Raises:
            SeglibError: shapes other than those of the paper preset.
        """
        renamed = {f"network.trunk.{k}": v for k, v in state.items() if k.startswith("features.")}
        for name, index in (("fc6", 0), ("fc7", 3)):
            weight = state[f"classifier.{index}.weight"]
            side = self.config.head_kernel if name == "fc6" else 1
            renamed[f"network.{name}.weight"] = weight.unflatten(1, (-1, side, side))
            renamed[f"network.{name}.bias"] = state[f"classifier.{index}.bias"]
        self._load_matching(renamed)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """Score layers and upsampling, with the dimensions that run over background and classes."""
        if isinstance(self.network, DilatedFCN):
            heads = ("classifier.4", "aux_classifier.4")
            return {f"network.{h}.{p}": (0,) for h in heads for p in ("weight", "bias")}
        names: dict[str, tuple[int, ...]] = {}
        for name, _ in self.network.named_parameters():
            if name.startswith("score_"):
                names[f"network.{name}"] = (0,)
            elif name.startswith("upscore"):
                layer = cast(ConvTranspose2d, self.network.get_submodule(name.split(".")[0]))
                names[f"network.{name}"] = (0, 1) if layer.groups == 1 else (0,)
        return names

    def _load_matching(self, state: Mapping[str, Tensor]) -> None:
        own = self.state_dict()
        for key, value in state.items():
            if key not in own or own[key].shape != value.shape:
                shape = list(own[key].shape) if key in own else "no such layer"
                raise SeglibError(
                    f"cannot load {key} {list(value.shape)}: this FCN has {shape}; "
                    "build both with the same config"
                )
        self.load_state_dict(state, strict=False)

    def _pixel_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the valid pixels, over their number if `reduction="mean"`."""
        total = cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
        if self.config.reduction == "sum":
            return total * world_size()  # the average over processes undoes it
        return total / global_mean_count((labels != IGNORE).sum())


def _score_layer(channels: int, classes: int) -> Conv2d:
    """1x1 scores that start at zero: every class equally likely, and a new skip adds nothing."""
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
