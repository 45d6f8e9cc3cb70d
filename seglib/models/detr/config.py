"""How a DETR is built: small, and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem

Variant = Literal["boxes", "masks", "panoptic"]


@dataclass(frozen=True)
class DETRConfig(ModelConfig):
    """How a DETR is built.

    Attributes:
        variant: "boxes" only, "masks" with the mask head, or "panoptic" with masks of stuff as
            well and a panoptic map.
        min_size: images are resized to this shorter side in pixels; None uses `image_size`.
        max_size: limit of the longer side in pixels, if min_size is given.
        blocks: residual blocks per stage of the backbone.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        dilated: the last stage keeps the resolution of the one before it ("DC5").
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        channels: D, channels of the transformer.
        heads: number of heads of every attention layer.
        hidden: channels between the two feed-forward layers.
        encoder_layers: number of encoder layers.
        decoder_layers: L, number of decoder layers; each has predictions and a loss.
        dropout: probability of dropout in the transformer during training.
        queries: Q, the largest number of objects that can be found in an image.
        position: sine or learned position embeddings of the features.
        mask_softmax: the mask head's attention is normalised "per_head", or "joint" over all heads
            and positions together, see mask_head.py.
        class_weight, box_weight, giou_weight: weights in the matching cost and in the loss.
        mask_weight, dice_weight: weights of the focal and the dice loss of masks.
        no_object_weight: weight of queries without an object in the class loss.
        segment_threshold: class probability that a query must exceed to enter a panoptic map.
    """

    variant: Variant = "boxes"
    min_size: int | None = 800
    max_size: int = 1333
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "frozen"
    dilated: bool = False
    frozen_stages: int = 2
    channels: int = 256
    heads: int = 8
    hidden: int = 2048
    encoder_layers: int = 6
    decoder_layers: int = 6
    dropout: float = 0.1
    queries: int = 100
    position: Literal["sine", "learned"] = "sine"
    mask_softmax: Literal["per_head", "joint"] = "joint"
    class_weight: float = 1.0
    box_weight: float = 5.0
    giou_weight: float = 2.0
    mask_weight: float = 1.0
    dice_weight: float = 1.0
    no_object_weight: float = 0.1
    segment_threshold: float = 0.85

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, inf, "min_size", "max_size", "width", "blocks", "channels", "heads")
        check_range(self, 1, inf, "hidden", "decoder_layers", "queries")
        check_range(self, 0, inf, "encoder_layers", "class_weight", "box_weight", "giou_weight")
        check_range(self, 0, inf, "mask_weight", "dice_weight", "no_object_weight")
        check_range(self, 0, 1, "dropout", "segment_threshold")
        if self.channels % self.heads or self.channels % 4:
            raise SeglibError(
                f"DETRConfig has channels={self.channels} and heads={self.heads}: the channels "
                "must be a multiple of the heads, and of 4 for the positions"
            )

    @classmethod
    def pocket(cls, variant: Variant = "masks") -> DETRConfig:
        """About 2.8 M parameters for Pocket COCO at 128 px.

        The backbone is that of Mask R-CNN's pocket network, so that its weights fit. Its last stage
        is dilated: with stride 16, an image would have only 64 features, and a small object would
        be smaller than one of them.
        """
        return cls(
            square_canvas=True,
            augmentation="flip",
            variant=variant,
            min_size=None,
            backbone_lr_scale=0.2,
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            norm="batch",
            dilated=True,
            frozen_stages=0,
            channels=128,
            heads=8,
            hidden=160,
            encoder_layers=3,
            decoder_layers=3,
            dropout=0.0,
            queries=30,
            mask_softmax="per_head",
        )

    @classmethod
    def paper(cls, variant: Variant = "boxes") -> DETRConfig:
        """The published DETR with ResNet-50; "panoptic" is the one for panoptic segmentation."""
        return cls(variant=variant, backbone_lr_scale=0.1)
