"""How a MaskFormer is built: small, and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from seglib.errors import SeglibError
from seglib.models.config import ModelConfig, check_range
from seglib.nn.norm import Norm
from seglib.nn.resnet import Stem

Variant = Literal["maskformer", "mask2former"]


@dataclass(frozen=True)
class MaskFormerConfig(ModelConfig):
    """How a MaskFormer is built.

    Attributes:
        variant: "maskformer", or "mask2former" with masked attention, several resolutions and
            losses at sampled points.
        min_size: images are resized to this shorter side in pixels; None uses `image_size`.
        max_size: limit of the longer side in pixels, if min_size is given.
        blocks: residual blocks per stage of the backbone.
        bottleneck: use bottleneck blocks instead of basic ones.
        width: channels of the backbone's first stage.
        stem: the backbone's first layers.
        norm: the backbone's normalisation.
        dilated: the last stage keeps the resolution of the one before it.
        frozen_stages: parts of the backbone that do not train: 1 the stem, 2 also the first stage.
        pixel_channels: channels of the pixel decoder.
        mask_channels: channels of the mask features and of the queries' mask embeddings.
        pixel_layers: number of transformer layers in the pixel decoder: on c5 (MaskFormer), or
            deformable on c3 to c5 together (Mask2Former). With 0, it is only an FPN.
        pixel_hidden: channels between their two feed-forward layers.
        channels: D, channels of the transformer.
        heads: number of heads of every attention layer.
        hidden: channels between the two feed-forward layers.
        decoder_layers: number of decoder layers; each has predictions and a loss, and in
            Mask2Former the initial queries have them, too.
        dropout: probability of dropout in the transformer during training.
        queries: Q, the largest number of segments that can be found in an image.
        points: P, points per mask at which losses and costs are computed; None uses all pixels.
        oversampling: candidates per point, among which the most uncertain are chosen.
        uncertain_share: the share of points that are chosen for their uncertainty.
        class_weight, mask_weight, dice_weight: weights in the matching cost and in the loss.
        no_object_weight: weight of queries without a segment in the class loss.
        segment_threshold: class probability that a query must exceed to enter a panoptic map.
        overlap_threshold: share of its own mask that a segment must keep there.
        max_detections: largest number of instances per image.
    """

    variant: Variant = "maskformer"
    min_size: int | None = None
    max_size: int = 1333
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    stem: Stem = "imagenet"
    norm: Norm = "batch"
    dilated: bool = False
    frozen_stages: int = 0
    pixel_channels: int = 256
    mask_channels: int = 256
    pixel_layers: int = 0
    pixel_hidden: int = 2048
    channels: int = 256
    heads: int = 8
    hidden: int = 2048
    decoder_layers: int = 6
    dropout: float = 0.1
    queries: int = 100
    points: int | None = None
    oversampling: float = 3.0
    uncertain_share: float = 0.75
    class_weight: float = 1.0
    mask_weight: float = 20.0
    dice_weight: float = 1.0
    no_object_weight: float = 0.1
    segment_threshold: float = 0.8
    overlap_threshold: float = 0.8
    max_detections: int = 100

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 1, inf, "width", "blocks", "pixel_channels", "mask_channels", "channels")
        check_range(self, 1, inf, "heads", "hidden", "decoder_layers", "queries", "points")
        check_range(self, 1, inf, "oversampling", "max_detections", "pixel_hidden")
        check_range(self, 1, inf, "min_size", "max_size")
        check_range(self, 0, inf, "pixel_layers")
        check_range(self, 0, inf, "class_weight", "mask_weight", "dice_weight", "no_object_weight")
        check_range(self, 0, 1, "dropout", "uncertain_share", "segment_threshold")
        check_range(self, 0, 1, "overlap_threshold")
        if self.channels % self.heads or self.channels % 4:
            raise SeglibError(
                f"MaskFormerConfig has channels={self.channels} and heads={self.heads}: the "
                "channels must be a multiple of the heads, and of 4 for the positions"
            )

    @classmethod
    def pocket(cls, variant: Variant = "mask2former") -> MaskFormerConfig:
        """About 2.7 M parameters for Pocket COCO at 128 px.

        The backbone is that of Mask R-CNN's pocket network, so that its weights fit. Masks have
        stride 2: with stride 4, thin parts would be lost.
        """
        masked = variant == "mask2former"
        return cls(
            square_canvas=True,
            augmentation="flip",
            variant=variant,
            backbone_lr_scale=0.2,
            blocks=(2, 2, 2, 1),
            bottleneck=False,
            width=32,
            stem="half",
            dilated=not masked,  # the queries read c5 only, so it must not be too coarse
            pixel_channels=64,
            mask_channels=64,
            channels=128,
            hidden=256,
            decoder_layers=4,
            dropout=0.0,
            queries=30,
            points=512 if masked else None,
            class_weight=2.0 if masked else 1.0,
            mask_weight=5.0 if masked else 20.0,
            dice_weight=5.0 if masked else 1.0,
            max_detections=50,
        )

    @classmethod
    def paper(cls, variant: Variant = "maskformer") -> MaskFormerConfig:
        """The published network with ResNet-50.

        MaskFormer's for COCO panoptic also has `pixel_layers=6`, a transformer encoder on c5.
        """
        if variant == "maskformer":
            return cls(min_size=800, backbone_lr_scale=0.1)
        return cls(
            variant=variant,
            min_size=800,
            backbone_lr_scale=0.1,
            pixel_layers=6,
            pixel_hidden=1024,
            decoder_layers=9,
            dropout=0.0,
            points=12544,
            class_weight=2.0,
            mask_weight=5.0,
            dice_weight=5.0,
        )
