"""DETR: End-to-End Object Detection with Transformers (Carion et al., ECCV 2020, arXiv 2005.12872).

The idea: predict all objects at once, as a set. A fixed number of learned queries attend to the
image and to each other, so that each object is detected by only one of them: there are no anchors,
and no duplicates to suppress. In training, the matching of lowest cost decides which query learns
which object.

    image [B, 3, H, W]
      ResNet         c5 [B, C, h, w]
      1x1 conv       features [B, D, h, w]
      encoder        memory [B, D, h, w]: every position attends to all others   (nn/transformer.py)
      decoder        queries [L, B, Q, D] after each of L layers
      linear         class logits [L, B, Q, K], K = C + 1: class 0 is "no object"
      MLP, sigmoid   boxes [L, B, Q, 4]: centre, width, height in 0…1 of the image's size
      mask head      masks [B, Q, H/s, W/s] of the last layer's queries          (mask_head.py)
      arg-max        a panoptic map [H, W], if stuff was learned as well          (panoptic.py)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.detr.config import DETRConfig
from seglib.models.detr.losses import box_losses, class_losses, mask_losses, named, object_count
from seglib.models.detr.mask_head import AttentionMap, MaskHead
from seglib.models.detr.matching import Matching, box_costs, class_cost, match
from seglib.models.detr.objects import ObjectBatch, object_batch
from seglib.models.detr.panoptic import panoptic_map, perfect_map
from seglib.models.detr.postprocess import best_classes, boxes_in_pixels, masks_in_pixels
from seglib.models.detr.segments import segment_batch
from seglib.models.targets import check_targets
from seglib.nn.layers import Conv2d
from seglib.nn.mlp import MLP
from seglib.nn.position import LearnedPosition, SinePosition
from seglib.nn.resnet import ResNetFeatures
from seglib.nn.transformer import Transformer
from seglib.ops.boxes import clip_boxes
from seglib.ops.images import resize_longer, resize_shorter
from seglib.ops.output_forms import masks_seen_at_stride
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate
from seglib.structures import (
    Categories,
    ImageBatch,
    Instances,
    Panoptic,
    Prediction,
    Size,
    Target,
)


@dataclass(eq=False)
class DETROutput:
    """The predictions of every decoder layer, and the inputs of the mask head.

    Attributes:
        logits: [L, B, Q, K], class 0 is "no object".
        boxes: [L, B, Q, 4] centre, width and height in 0…1 of the image's size.
        states: [L, B, Q, D], the queries after each layer.
        features: [B, D, h, w] before the encoder.
        memory: [B, D, h, w] after it.
        padding: bool [B, h, w], True in the padding.
        pyramid: the backbone's maps.
        batch: the images as the network saw them.
    """

    logits: Tensor
    boxes: Tensor
    states: Tensor
    features: Tensor
    memory: Tensor
    padding: Tensor
    pyramid: ResNetFeatures
    batch: ImageBatch


class DETR(Segmenter):
    """Detection as set prediction, with masks and a panoptic map if the variant has them.

    Attributes:
        backbone, input_proj, position: turn images into features with position embeddings.
        transformer, query_embed: turn features into queries.
        class_embed, bbox_embed: predict classes and boxes from queries.
        bbox_attention, mask_head: predict masks from queries; None for the variant "boxes".
    """

    name: ClassVar[str] = "detr"
    tasks: tuple[Task, ...] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = DETRConfig
    config: DETRConfig

    def __init__(self, config: DETRConfig, categories: Categories) -> None:
        self.panoptic = config.variant == "panoptic"
        if self.panoptic:
            self.tasks = ("instances", "panoptic")
        super().__init__(config, categories)
        channels = config.channels
        self.backbone = make_resnet(
            config, replace_stride_with_dilation=(False, False, config.dilated)
        )
        self.input_proj = Conv2d(self.backbone.channels[-1], channels, 1)
        make_position = SinePosition if config.position == "sine" else LearnedPosition
        self.position = make_position(channels)
        self.transformer = Transformer(
            channels,
            config.heads,
            config.hidden,
            config.encoder_layers,
            config.decoder_layers,
            config.dropout,
        )
        self.query_embed = nn.Embedding(config.queries, channels)
        self.class_embed = nn.Linear(channels, len(categories) + 1)
        self.bbox_embed = MLP(channels, channels, 4, layers=3)
        self.bbox_attention: AttentionMap | None = None
        self.mask_head: MaskHead | None = None
        if config.variant != "boxes":
            finer = self.backbone.channels[2::-1]  # of c4, c3, c2
            self.bbox_attention = AttentionMap(channels, config.heads, config.mask_softmax)
            self.mask_head = MaskHead(channels + config.heads, channels, finer)

    def forward(self, images: Sequence[Tensor]) -> DETROutput:
        """The predictions of all layers for images of any size, float [3, H, W] in 0…1."""
        batch = self.prepare(images)  # tensor [B, 3, H, W]
        pyramid = self.backbone(batch.tensor)  # [B, C_l, H_l, W_l] each
        features = self.input_proj(pyramid.c5)  # [B, D, h, w]
        padding = batch.padding_mask[:, None].float()  # [B, 1, H, W]
        padding = F.interpolate(padding, size=features.shape[-2:])[:, 0] > 0  # [B, h, w], nearest
        position = self.position(padding, batch.tensor)  # [B, D, h, w]
        queries = self.query_embed.weight  # [Q, D]
        # Attention is faster without a mask, and most batches have no padding.
        padded = any(size != batch.canvas for size in batch.sizes)
        states, memory = self.transformer(  # [L, B, Q, D], [B, D, h, w]
            features, position, queries, padding if padded else None
        )
        logits = at_least_float32(self.class_embed(states))  # [L, B, Q, K]
        boxes = at_least_float32(self.bbox_embed(states)).sigmoid()  # [L, B, Q, 4]
        return DETROutput(logits, boxes, states, features, memory, padding, pyramid, batch)

    def resize(self, image: Tensor) -> Tensor:
        """Resize by the shorter side if the config has `min_size`, as published (section 4)."""
        if self.config.min_size is None:
            return resize_longer(image, self.config.image_size)
        return resize_shorter(image, self.config.min_size, self.config.max_size)

    def masks(self, output: DETROutput, queries: Tensor, image: Tensor) -> Tensor:
        """Mask logits [N, H/s, W/s] of queries [N, D], which belong to the images int64 [N]."""
        assert self.bbox_attention is not None, "this variant has no masks"
        assert self.mask_head is not None, "this variant has no masks"
        maps = self.bbox_attention(
            queries, image, output.memory, output.padding
        )  # [N, heads, h, w]
        finer = (output.pyramid.c4, output.pyramid.c3, output.pyramid.c2)
        return at_least_float32(self.mask_head(output.features, maps, image, finer))

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses of every decoder layer, each with a matching of its own (section 3.2).

        Returns:
            weighted losses: "class_loss", "box_loss" (L1) and "giou_loss" of the last layer, those
            of the layers before it as "class_loss_1"…, and with a mask head "mask_loss" and
            "dice_loss" of the last layer.

        Raises:
            SeglibError: a target whose masks do not have its image's size, a label that the model
                does not know, or for "panoptic" a target without a label map.
        """
        output, config = self(images), self.config
        objects = self.objects(images, targets, output.batch)
        matching = self.match(output, objects)
        target_labels = matching.labels_of_queries(objects.labels, config.queries)  # [L, B, Q]
        count = object_count(objects.counts, output.logits)
        box_loss, giou_loss = box_losses(
            matching.predicted(output.boxes), matching.true(objects.boxes), count
        )  # [L] each
        losses = {
            **named(
                class_losses(output.logits, target_labels, config.no_object_weight),
                "class_loss",
                config.class_weight,
            ),
            **named(box_loss, "box_loss", config.box_weight),
            **named(giou_loss, "giou_loss", config.giou_weight),
        }
        return losses | self._mask_losses(output, objects, matching, count)

    def objects(
        self, images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch
    ) -> ObjectBatch:
        """The objects to be matched: things, and for "panoptic" each stuff class as well."""
        if self.panoptic:
            return segment_batch(images, targets, batch, self.categories)
        return object_batch(images, targets, batch, len(self.categories))

    def match(self, output: DETROutput, objects: ObjectBatch) -> Matching:
        """The matching of queries and objects in every layer."""
        config = self.config
        with torch.no_grad():
            distance, overlap = box_costs(output.boxes, objects.boxes)  # [L, B, Q, G] each
            labels = objects.labels.expand(len(output.logits), -1, -1)  # [L, B, G]
            cost = config.class_weight * class_cost(output.logits, labels)  # [L, B, Q, G]
            cost = cost + config.box_weight * distance + config.giou_weight * overlap
            return match(cost, objects.counts)

    def _mask_losses(
        self, output: DETROutput, objects: ObjectBatch, matching: Matching, count: Tensor
    ) -> dict[str, Tensor]:
        """Focal and dice loss of the matched queries' masks in the last layer."""
        if self.mask_head is None:
            return {}
        # Only matched queries get masks: the others have no mask loss and would cost as much.
        last = Matching(matching.queries[-1:], matching.objects[-1:])
        states = last.predicted(output.states[-1:])[0]  # [N, D]
        image = last.queries[0] // self.config.queries  # [N]
        logits = self.masks(output, states, image)[:, None]  # [N, 1, H/s, W/s]
        logits = interpolate(logits, output.batch.canvas, "bilinear")  # [N, 1, H, W]
        truth = last.true(objects.masks)  # [1, N, H, W]
        focal, dice = mask_losses(logits.transpose(0, 1), truth, count)  # [1] each
        return {
            "mask_loss": self.config.mask_weight * focal[0],
            "dice_loss": self.config.dice_weight * dice[0],
        }

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """One detection per query, best first, at each image's own size.

        For "panoptic", queries that found stuff are not among the detections but in the map.
        """
        output = self(images)
        size = (images[0].shape[-2], images[0].shape[-1])
        scores, labels = best_classes(output.logits[-1])  # [B, Q] each
        boxes = clip_boxes(boxes_in_pixels(output.boxes[-1], size), size)  # [B, Q, 4]
        order = scores.argsort(dim=1, descending=True, stable=True)  # [B, Q]
        predictions = []
        for image, rows in enumerate(order):
            masks, panoptic = None, None
            if self.mask_head is not None:
                states = output.states[-1, image, rows]  # [Q, D]
                logits = self.masks(output, states, torch.full_like(rows, image))  # [Q, H/s, W/s]
                seen, canvas = output.batch.sizes[image], output.batch.canvas
                masks = masks_in_pixels(logits, canvas, seen, size)  # [Q, H, W]
                if self.panoptic:
                    panoptic = self._panoptic(output.logits[-1, image], logits, rows, seen, size)
            found = Instances(boxes[image, rows], scores[image, rows], labels[image, rows], masks)
            if self.panoptic:
                found = found[self._are_things(found.labels)]
            predictions.append(Prediction(size, self.categories, found, panoptic=panoptic))
        return predictions

    def _panoptic(
        self, logits: Tensor, masks: Tensor, rows: Tensor, seen: Size, size: Size
    ) -> Panoptic:
        """The panoptic map of one image.

        Args:
            logits: [Q, K] of the classes.
            masks: [Q, h, w] logits, in the order of `rows`.
            rows: int64 [Q], the query of each mask.
            seen: (H, W) of the resized image on the canvas.
            size: (H, W) of the original image.
        """
        in_order = masks[rows.argsort()]  # merging stuff depends on the order of the queries
        threshold = self.config.segment_threshold
        return panoptic_map(logits, in_order, self.categories, seen, size, threshold)

    def _are_things(self, labels: Tensor) -> Tensor:
        """bool [N]: which of the labels int64 [N] are those of things."""
        things = torch.tensor([c.label for c in self.categories.things], device=labels.device)
        return torch.isin(labels, things)

    @property
    def mask_stride(self) -> int:
        """Image pixels from one mask logit to the next."""
        return self.backbone.strides[0]

    @property
    def output_form(self) -> OutputForm:
        """As many boxes as queries, with masks of one stride unless the variant is "boxes"."""
        queries, stride = self.config.queries, self.mask_stride
        if self.mask_head is None:
            return OutputForm(f"a perfect set of {queries} boxes", {"queries": queries})
        return OutputForm(
            f"a perfect set of {queries} objects with masks of stride {stride}",
            {"queries": queries, "stride": stride},
        )

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true boxes of the largest Q objects, with their masks at the mask head's stride.

        The panoptic map contains all objects and all stuff.
        """
        check_targets([image], [target], len(self.categories))
        objects = target[~target.iscrowd]
        kept = objects[objects.area.argsort(descending=True)[: self.config.queries]]
        masks = None
        if self.mask_head is not None:
            masks = masks_seen_at_stride(kept.masks, self.resize, self.mask_stride)  # [G, H, W]
        found = Instances(kept.boxes, torch.ones_like(kept.area), kept.labels, masks)
        panoptic = None
        if self.panoptic:
            panoptic = perfect_map(image, target, self.categories, self.resize, self.mask_stride)
        return Prediction(target.size, self.categories, found, panoptic=panoptic)

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The class layer."""
        return {"class_embed.weight": (0,), "class_embed.bias": (0,)}
