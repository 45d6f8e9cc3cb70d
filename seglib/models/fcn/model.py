"""FCN: Fully Convolutional Networks for Semantic Segmentation.

Long, Shelhamer, Darrell, CVPR 2015 (arXiv 1411.4038); extended in PAMI 2017 (1605.06211).

The idea: a classifier's fully connected layers are convolutions in disguise, so a network that
names one picture can name every place of a larger one. Its coarse map of scores is upsampled to
pixels by a transposed convolution, and scores from earlier, finer layers are added on the way.

    image [B, 3, H, W]
      VGG backbone      pool3 /8 -----------------.  pool4 /16 ------.  pool5 /32
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
from typing import ClassVar

import torch
from torch import Tensor

from seglib.distributed import global_mean_count, world_size
from seglib.errors import SeglibError
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.fcn.config import VARIANTS, FCNConfig
from seglib.models.fcn.networks import DilatedFCN, FCNOutput, SkipFCN
from seglib.models.targets import semantic_labels
from seglib.ops.losses import cross_entropy
from seglib.ops.output_forms import one_hot_labels, shares_at_stride
from seglib.ops.upsampling import interpolate
from seglib.structures import IGNORE, Categories, Prediction, Target


class FCN(Segmenter):
    """Fully convolutional network: a class for every pixel, without separating objects of a class.

    Attributes:
        network: `SkipFCN` or `DilatedFCN`, from normalised [B, 3, H, W] to `FCNOutput`.
    """

    name: ClassVar[str] = "fcn"
    tasks: tuple[Task, ...] = ("semantic",)
    config_class: ClassVar[type[ModelConfig]] = FCNConfig
    config: FCNConfig

    def __init__(self, config: FCNConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        build = DilatedFCN if config.variant == "dilated" else SkipFCN
        self.network: SkipFCN | DilatedFCN = build(config, len(categories) + 1)

    def forward(self, images: Sequence[Tensor]) -> FCNOutput:
        """Raw outputs of one padded batch; see `FCNOutput`."""
        batch = self.prepare(images)  # tensor [B, 3, H, W]
        output: FCNOutput = self.network(batch.tensor)  # logits [B, K, H, W]
        output.sizes = batch.sizes
        return output

    def raw(self, x: Tensor) -> Tensor:
        """The network alone, for export: normalised [B, 3, H, W] -> logits [B, K, H, W]."""
        output: FCNOutput = self.network(x)
        return output.logits

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Cross-entropy of every pixel that is neither ignored (255) nor padding.

        Returns:
            "semantic_loss", and "auxiliary_loss" (already weighted) for the dilated variant in
            training mode. With `reduction="mean"` both divide by the valid pixels of all
            processes (see `global_mean_count`).

        Raises:
            SeglibError: a target without semantic labels, or whose labels do not have its image's
                size or are unknown to the model.
        """
        output = self(images)
        canvas = (output.logits.shape[-2], output.logits.shape[-1])
        labels = semantic_labels(images, targets, output.sizes, canvas, len(self.categories))
        labels = labels.to(output.logits.device)  # [B, H, W]
        losses = {"semantic_loss": self._pixel_loss(output.logits, labels)}
        if output.auxiliary is not None:
            auxiliary = self._pixel_loss(output.auxiliary, labels)
            losses["auxiliary_loss"] = self.config.auxiliary_weight * auxiliary
        return losses

    def _pixel_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy summed over the valid pixels, or their mean if `reduction="mean"`."""
        total = cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum")
        if self.config.reduction == "sum":  # as the released networks were trained
            return total * world_size()  # the average over processes undoes it
        return total / global_mean_count((labels != IGNORE).sum())

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """`Prediction.semantic` at the images' original size: logits, not labels, are resized."""
        size = (images[0].shape[-2], images[0].shape[-1])
        logits = self.raw(self.prepare(images).tensor)  # [B, K, h, w], the size the network sees
        labels = _resized_argmax(logits, size)  # [B, H, W]
        return [Prediction(size, self.categories, semantic=semantic) for semantic in labels]

    @property
    def output_stride(self) -> int:
        """Image pixels from one score to the next on the finest score map."""
        return self.network.output_stride

    @property
    def output_form(self) -> OutputForm:
        """Upsampled logits of one stride."""
        stride = self.output_stride
        return OutputForm(f"a perfect network with logits of stride {stride}", {"stride": stride})

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true label map, averaged over the cells of the logits and upsampled like them."""
        size = (image.shape[-2], image.shape[-1])
        truth = semantic_labels([image], [target], [size], size, len(self.categories))[0]  # [H, W]
        present, one_hot = one_hot_labels(truth)  # [L], [L, H, W]
        seen = self.resize(one_hot)  # [L, h, w]
        shares = shares_at_stride(seen, self.output_stride)  # [L, h, w]
        if shares.shape[-2:] != size:
            shares = interpolate(shares[None], size, "bilinear")[0]  # [L, H, W]
        return Prediction(size, self.categories, semantic=present[shares.argmax(dim=0)])

    def load_coarser(self, other: FCN) -> None:
        """Start from a trained coarser network: a 16s from a 32s, an 8s from a 16s (section 4.2).

        All layers that both have are copied. The new skip's scores stay zero, so that at first
        this network predicts what the coarser one does, except that it upsamples in two steps.

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
        self._load_partial(state)

    def load_vgg(self, state: Mapping[str, Tensor]) -> None:
        """Start from an image classifier: torchvision's `vgg16` (or `vgg16_bn`) state dict.

        The backbone takes its convolutions. fc6 and fc7 take its fully connected layers, the
        flattened rows read as kernels (see `convolutionalize`); fc8, its 1000 classes, is left
        out.

        Raises:
            SeglibError: shapes other than those of the paper preset.
        """
        renamed = {
            f"network.backbone.{k}": v for k, v in state.items() if k.startswith("features.")
        }
        for name, index in (("fc6", 0), ("fc7", 3)):
            weight = state[f"classifier.{index}.weight"]  # [width, C * k * k]
            side = self.config.head_kernel if name == "fc6" else 1
            renamed[f"network.{name}.weight"] = weight.unflatten(1, (-1, side, side))
            renamed[f"network.{name}.bias"] = state[f"classifier.{index}.bias"]
        self._load_partial(renamed)

    def _load_partial(self, state: Mapping[str, Tensor]) -> None:
        """Load some of the tensors by name; all others stay as they are."""
        present = self.state_dict()
        for key, value in state.items():
            if key not in present or present[key].shape != value.shape:
                shape = list(present[key].shape) if key in present else "no such layer"
                raise SeglibError(
                    f"cannot load {key} {list(value.shape)}: this FCN has {shape}; "
                    "build both with the same config"
                )
        self.load_state_dict(state, strict=False)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The network's score layers and upsampling; see `Segmenter.class_parameters`."""
        return {f"network.{name}": dims for name, dims in self.network.class_parameters().items()}


def _resized_argmax(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """The best class [B, H, W] of bilinearly resized logits [B, K, h, w], the first among equals.

    Class by class, because a photograph's logits at full size would fill gigabytes.
    """
    if logits.shape[-2:] == size:
        return logits.argmax(dim=1)
    best = interpolate(logits[:, :1], size, "bilinear")[:, 0]  # [B, H, W]
    labels = torch.zeros_like(best, dtype=torch.int64)
    for label in range(1, logits.shape[1]):
        score = interpolate(logits[:, label : label + 1], size, "bilinear")[:, 0]
        better = score > best
        labels[better] = label
        torch.maximum(best, score, out=best)
    return labels
