"""MaskFormer (Cheng et al., NeurIPS 2021, arXiv 2107.06278), Mask2Former (CVPR 2022, 2112.01527).

The idea: classify masks, not pixels. A set of queries predicts segments, each with one class and
one mask, and learns them with DETR's matching. The same segments give a label map, a panoptic map
and instances: one model and one loss for three tasks.

    image [B, 3, H, W]
      pixel-level module    ResNet c2…c5, FPN      pyramid [B, F, H_l, W_l]   (pixel_decoder.py)
                                                   mask features [B, M, H/s, W/s]
      transformer module    queries                states [L, B, Q, D]        (decoders.py)
      segmentation module   linear                 class logits [L, B, Q, K], K = C + 1: class 0 is
                                                   "no object"
                            MLP                    mask embeddings [L, B, Q, M]
                            dot product            mask logits [L, B, Q, H/s, W/s]

Mask2Former changes the transformer module (each query attends only inside its own mask, at three
resolutions in turn) and computes its losses at sampled points instead of all pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from seglib.distributed import image_generators
from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.detr.losses import class_losses, named, object_count
from seglib.models.maskformer.config import MaskFormerConfig
from seglib.models.maskformer.decoders import MaskedDecoder, PlainDecoder
from seglib.models.maskformer.inference import instances, panoptic_map, semantic_map
from seglib.models.maskformer.losses import match_segments, pixel_losses, sampled_losses
from seglib.models.maskformer.perfect import perfect_prediction
from seglib.models.maskformer.pixel_level import make_pixel_level
from seglib.models.maskformer.segments import segment_batch
from seglib.models.targets import check_targets
from seglib.nn.mlp import MLP
from seglib.ops.images import resize_longer, resize_shorter
from seglib.ops.precision import at_least_float32, without_autocast
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, ImageBatch, Prediction, Target

MASKED_LEVELS = 3  # levels of the pyramid that Mask2Former's queries attend to in turn


@dataclass(eq=False)
class MaskFormerOutput:
    """The predictions of every layer.

    Attributes:
        logits: [L, B, Q, K], class 0 is "no object".
        masks: [L, B, Q, H/s, W/s] logits.
        batch: the images as the network saw them.
    """

    logits: Tensor
    masks: Tensor
    batch: ImageBatch


class MaskFormer(Segmenter):
    """Mask classification for semantic, instance and panoptic segmentation.

    Attributes:
        backbone, pixel_encoder, pixel_decoder: turn images into a pyramid and mask features; the
            encoder is None if c5 is used as it is.
        decoder: turns the pyramid into queries.
        class_embed, mask_embed: predict classes and mask embeddings from queries.
    """

    name: ClassVar[str] = "maskformer"
    tasks: tuple[Task, ...] = ("panoptic", "instances", "semantic")
    config_class: ClassVar[type[ModelConfig]] = MaskFormerConfig
    config: MaskFormerConfig

    def __init__(self, config: MaskFormerConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.masked = config.variant == "mask2former"
        self.backbone = make_resnet(
            config, replace_stride_with_dilation=(False, False, config.dilated)
        )
        self.pixel_encoder, self.pixel_decoder = make_pixel_level(config, self.backbone.channels)
        transformer = (
            config.channels,
            config.queries,
            config.decoder_layers,
            config.heads,
            config.hidden,
            config.dropout,
        )
        self.decoder: MaskedDecoder | PlainDecoder = (
            MaskedDecoder(config.pixel_channels, MASKED_LEVELS, *transformer)
            if self.masked
            else PlainDecoder(self._deepest_channels, *transformer)
        )
        self.class_embed = nn.Linear(config.channels, len(categories) + 1)
        self.mask_embed = MLP(config.channels, config.channels, config.mask_channels, layers=3)

    def forward(self, images: Sequence[Tensor]) -> MaskFormerOutput:
        """The predictions of all layers for images of any size, float [3, H, W] in 0…1."""
        batch = self.prepare(images, divisor=max(self.backbone.strides))  # tensor [B, 3, H, W]
        features = self.backbone(batch.tensor)  # [B, C_l, H_l, W_l] each
        if self.pixel_encoder is not None:
            encoded = self.pixel_encoder(features.c5, batch.tensor)  # [B, F, h, w]
            features = features._replace(c5=encoded)
        pyramid, pixels = self.pixel_decoder(features)  # pixels [B, M, H/s, W/s]
        if isinstance(self.decoder, MaskedDecoder):
            levels = pyramid[: -MASKED_LEVELS - 1 : -1]  # coarsest first
            states = self.decoder(
                levels, batch.tensor, lambda queries: self.masks(queries, pixels)
            )  # [L, B, Q, D]
        else:
            states = self.decoder(features.c5, batch.tensor)  # [L, B, Q, D]
        logits = at_least_float32(self.class_embed(states))  # [L, B, Q, K]
        return MaskFormerOutput(logits, self.masks(states, pixels), batch)

    def resize(self, image: Tensor) -> Tensor:
        """Resize by the shorter side if the config has `min_size`, as published for COCO."""
        if self.config.min_size is None:
            return resize_longer(image, self.config.image_size)
        return resize_shorter(image, self.config.min_size, self.config.max_size)

    @property
    def _deepest_channels(self) -> int:
        """Channels of the features that MaskFormer's queries attend to."""
        encoded = self.pixel_encoder is not None
        return self.config.pixel_channels if encoded else self.backbone.channels[-1]

    def masks(self, states: Tensor, pixels: Tensor) -> Tensor:
        """Queries [..., B, Q, D] and mask features [B, M, h, w] -> logits [..., B, Q, h, w]."""
        embeddings = self.mask_embed(states)  # [..., B, Q, M]
        return at_least_float32(torch.einsum("...bqm,bmhw->...bqhw", embeddings, pixels))

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses of every layer, each with a matching of its own.

        Returns:
            weighted losses: "class_loss", "mask_loss" (focal, or cross-entropy at points) and
            "dice_loss" of the last layer, and those of the layers before it as "class_loss_1"….

        Raises:
            SeglibError: a target without a label map, one that does not have its image's size, or
                a label that the model does not know.
        """
        output, config = self(images), self.config
        check_targets(images, targets, len(self.categories))
        segments = segment_batch(images, targets, output.batch, self.categories)
        generators = image_generators([target.image_id for target in targets])
        with torch.no_grad(), without_autocast(output.masks):
            matching = match_segments(output.logits, output.masks, segments, config, generators)
        target_labels = matching.labels_of_queries(segments.labels, config.queries)  # [L, B, Q]
        count = object_count(segments.counts, output.logits)
        masks = matching.predicted(output.masks)  # [L, N, h, w]
        truth = matching.true(segments.masks)  # [L, N, H, W]
        if config.points is None:
            mask_loss, dice_loss = pixel_losses(masks, truth, count)  # [L] each
        else:
            pairs = [min(number, config.queries) for number in segments.counts]
            mask_loss, dice_loss = sampled_losses(masks, truth, count, config, pairs, generators)
        class_loss = class_losses(output.logits, target_labels, config.no_object_weight)
        return {
            **named(class_loss, "class_loss", config.class_weight),
            **named(mask_loss, "mask_loss", config.mask_weight),
            **named(dice_loss, "dice_loss", config.dice_weight),
        }

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """All three tasks from the last layer's segments, at each image's own size."""
        output = self(images)
        size = (images[0].shape[-2], images[0].shape[-1])
        height, width = output.batch.sizes[0]
        predictions = []
        for logits, small in zip(output.logits[-1], output.masks[-1], strict=True):
            masks = interpolate(small[None], output.batch.canvas, "bilinear")  # [1, Q, H, W]
            masks = masks[..., :height, :width]  # [1, Q, height, width], without padding
            if (height, width) != size:
                masks = interpolate(masks, size, "bilinear")  # [1, Q, *size]
            predictions.append(self._read(logits, masks[0], size))
        return predictions

    def _read(self, logits: Tensor, masks: Tensor, size: tuple[int, int]) -> Prediction:
        """All three tasks from class logits [Q, K] and mask logits [Q, H, W] of one image."""
        config, categories = self.config, self.categories
        return Prediction(
            size,
            categories,
            instances=instances(logits, masks, categories, config.max_detections),
            semantic=semantic_map(logits, masks, categories),
            panoptic=panoptic_map(
                logits,
                masks,
                categories,
                config.segment_threshold,
                config.overlap_threshold,
                inside_only=self.masked,
            ),
        )

    @property
    def mask_stride(self) -> int:
        """Image pixels from one mask logit to the next."""
        return self.backbone.strides[0]

    @property
    def output_form(self) -> OutputForm:
        """Masks of one stride."""
        stride = self.mask_stride
        return OutputForm(f"a perfect set of masks of stride {stride}", {"stride": stride})

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true segments, with masks averaged over the cells of the mask logits."""
        check_targets([image], [target], len(self.categories))
        return perfect_prediction(image, target, self.categories, self.resize, self.mask_stride)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The class layer."""
        return {"class_embed.weight": (0,), "class_embed.bias": (0,)}
