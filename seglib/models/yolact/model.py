"""YOLACT: Real-time Instance Segmentation (Bolya, Zhou, Xiao, Lee, ICCV 2019, arXiv 1904.02689).

The idea: do not crop features first. One branch computes prototypes, masks of the whole image that
belong to no object; another predicts for every anchor, besides class and box, one coefficient per
prototype. The weighted sum of the prototypes, cropped to the box, is the object's mask.

    image [B, 3, H, W]
      ResNet C3…C5 + FPN -> pyramid [B, F, H_l, W_l], strides 8, 16, 32, 64, 128
                            (pocket(): 4, 8, 16, 32)                            (networks.py)
      protonet on P3     -> prototypes [B, k, 2·H_3, 2·W_3]
      head on all levels -> class logits [B, N, K], deltas [B, N, 4], coefficients [B, N, k]
      Fast NMS           -> detections [d, 4] per image                         (detection.py)
      coefficients [d, k] @ prototypes [k, h·w], sigmoid, crop -> masks [d, h, w]   (masks.py)
      bilinear to the image's size, > 0.5

YOLACT++ (arXiv 1912.06218) adds mask re-scoring, an option here (mask_scoring.py), and deformable
convolutions, which are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib import ops
from seglib.distributed import global_mean_count, image_generators
from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.targets import check_targets
from seglib.models.yolact.anchors import anchor_shapes, grid_of_anchors
from seglib.models.yolact.box_coder import decode_boxes, encode_boxes
from seglib.models.yolact.config import BACKBONE_LEVELS, YOLACTConfig
from seglib.models.yolact.detection import select_across_classes, select_per_class
from seglib.models.yolact.losses import class_loss
from seglib.models.yolact.mask_samples import sample_batch, total_mask_loss
from seglib.models.yolact.mask_scoring import MaskIoUNet
from seglib.models.yolact.masks import assemble_masks, boxes_in_cells, crop_masks, masks_of_image
from seglib.models.yolact.networks import (
    AnchorOutputs,
    PredictionHead,
    ProtoNet,
    Pyramid,
)
from seglib.models.yolact.semantic_branch import SemanticBranch
from seglib.models.yolact.targets import anchor_targets, batch_truth
from seglib.ops.boxes import clip_boxes, scale_boxes
from seglib.ops.detections import Detections
from seglib.ops.images import resize_longer
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate
from seglib.structures import Categories, ImageBatch, Instances, Prediction, Size, Target


@dataclass(eq=False)
class YOLACTOutput:
    """The raw outputs for a batch.

    Attributes:
        pyramid: feature maps [B, F, H_l, W_l], finest first.
        prototypes: [B, k, h, w], 0 or more.
        anchors: [N, 4] (centre x, centre y, width, height) in pixels of the batch.
        of_anchors: class logits, deltas and mask coefficients of the anchors.
        batch: the images as the network saw them.
    """

    pyramid: tuple[Tensor, ...]
    prototypes: Tensor
    anchors: Tensor
    of_anchors: AnchorOutputs
    batch: ImageBatch

    @property
    def cells(self) -> Size:
        """(h, w) of the prototypes."""
        return self.prototypes.shape[-2], self.prototypes.shape[-1]


class YOLACT(Segmenter):
    """The whole single-stage network.

    Attributes:
        backbone, pyramid: turn images into feature maps.
        protonet: turns the finest map into prototypes.
        head: predicts class, box and coefficients of every anchor.
        semantic: predicts class maps from the finest map, for an auxiliary loss only.
        mask_iou_net: re-scores masks; None without `config.rescoring`.
    """

    name: ClassVar[str] = "yolact"
    tasks: tuple[Task, ...] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = YOLACTConfig
    config: YOLACTConfig

    def __init__(self, config: YOLACTConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.reference, classes = config.reference, len(categories)
        self.backbone = make_resnet(config)
        channels = self.backbone.channels[-BACKBONE_LEVELS:]
        self.pyramid = Pyramid(channels, config.fpn_width, config.extra_levels)
        self.protonet = ProtoNet(
            config.fpn_width, config.proto_width, config.proto_convolutions, config.prototypes
        )
        self.head = PredictionHead(
            config.fpn_width,
            config.head_width,
            config.anchors_per_cell,
            classes + 1,
            config.prototypes,
        )
        self.semantic = SemanticBranch(config.fpn_width, classes)
        self.mask_iou_net = MaskIoUNet(classes) if config.rescoring else None

    def forward(self, images: Sequence[Tensor]) -> YOLACTOutput:
        """Raw outputs for images of any size, float [3, H, W] in 0…1."""
        batch = self.prepare(images)  # tensor [B, 3, H, W]
        features = self.backbone(batch.tensor)  # [B, C_l, H_l, W_l] each
        pyramid: tuple[Tensor, ...] = self.pyramid(features[-BACKBONE_LEVELS:])  # [B, F, H_l, W_l]
        prototypes = self.protonet(pyramid[0])  # [B, k, h, w]
        anchors = self.anchors(pyramid, batch.canvas)  # [N, 4]
        of_anchors = self.head(pyramid)  # [B, N, K], [B, N, 4], [B, N, k]
        return YOLACTOutput(pyramid, prototypes, anchors, of_anchors, batch)

    def anchors(self, pyramid: Sequence[Tensor], canvas: Size) -> Tensor:
        """[N, 4] (centre x, centre y, width, height) in pixels, in the order of the head."""
        config, square = self.config, self.reference.square_anchors
        levels = []
        for level, sizes in zip(pyramid, config.anchor_sizes, strict=True):
            shapes = anchor_shapes(sizes, config.anchor_ratios, square).to(at_least_float32(level))
            cells = (level.shape[-2], level.shape[-1])
            levels.append(grid_of_anchors(shapes, cells, canvas))  # [H_l·W_l·A, 4]
        return torch.cat(levels)

    def resize(self, image: Tensor) -> Tensor:
        """Resize to a square as published (section 5) or by the longer side, see conventions.py."""
        side = self.config.image_size
        if side is None or not self.reference.square_input:
            return resize_longer(image, side)
        if image.shape[-2:] == (side, side):
            return image
        return interpolate(image[None], (side, side))[0]

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The weighted losses of all branches, to be summed (section 4 and the released code).

        The semantic loss is divided by the number of images, the others by the number of positives
        in the batch.

        Returns:
            "class_loss", "box_loss", "mask_loss", "semantic_loss"; with re-scoring also
            "mask_iou_loss".

        Raises:
            SeglibError: a target whose masks do not have its image's size, or a label that the
                model does not know.
        """
        config, output = self.config, self(images)
        truth = batch_truth(images, targets, output.batch, len(self.categories))
        labels, index = anchor_targets(output.anchors, truth, config)  # [B, N] each
        image, anchor = (labels > 0).nonzero().unbind(1)  # [P] each: the positives
        logits, deltas, coefficients = output.of_anchors  # [B, N, K], [B, N, 4], [B, N, k]
        matched = index[image, anchor]  # [P] the object of each positive
        boxes = truth.boxes[image, matched]  # [P, 4]
        true_deltas = encode_boxes(output.anchors[anchor], boxes)  # [P, 4]
        box_loss = F.smooth_l1_loss(deltas[image, anchor], true_deltas, reduction="sum")
        samples = sample_batch(
            output.prototypes,
            coefficients[image, anchor],  # [P, k]
            matched,
            image.bincount(minlength=len(labels)).tolist(),
            truth.objects,
            output.batch.canvas,
            config,
            image_generators([target.image_id for target in targets]),
        )
        semantic_loss = self.semantic.loss(
            output.pyramid[0], truth.objects, output.batch.canvas, config.binary_targets
        )
        weight, count = config.loss_weights, global_mean_count(len(image))
        losses = {
            "class_loss": weight.classes * class_loss(logits, labels, config.negatives) / count,
            "box_loss": weight.boxes * box_loss / count,
            "mask_loss": weight.masks * total_mask_loss(samples) / count,
            "semantic_loss": weight.semantic * semantic_loss,
        }
        if self.mask_iou_net is not None:
            losses["mask_iou_loss"] = weight.mask_iou * self.mask_iou_net.loss(samples) / count
        return losses

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Detected objects with masks, best first, at each image's own size."""
        output = self(images)
        predictions = []
        for number, found in enumerate(self.detect(output)):
            coefficients = output.of_anchors.coefficients[number, found.rows]  # [d, k]
            logits = assemble_masks(coefficients, output.prototypes[number])  # [d, h, w]
            boxes = boxes_in_cells(found.boxes, output.batch.canvas, output.cells)  # [d, 4]
            masks = crop_masks(logits.sigmoid(), boxes)  # [d, h, w]
            size = (images[number].shape[-2], images[number].shape[-1])
            seen = output.batch.sizes[number]
            predictions.append(self.finish(found, masks, seen, output.batch.canvas, size))
        return predictions

    def detect(self, output: YOLACTOutput) -> list[Detections]:
        """Each image's detections: boxes in pixels of the batch, not clipped."""
        config = self.config
        scores = output.of_anchors.class_logits.softmax(dim=2)[..., 1:]  # [B, N, C]
        boxes = decode_boxes(output.anchors, output.of_anchors.deltas)  # [B, N, 4]
        suppress = ops.fast_nms if config.suppression == "fast" else ops.nms
        select = select_across_classes if config.across_classes else select_per_class
        return [select(*one, suppress, config) for one in zip(boxes, scores, strict=True)]

    def finish(
        self, found: Detections, masks: Tensor, seen: Size, canvas: Size, size: Size
    ) -> Prediction:
        """Bring the detections of an image to its original size.

        Args:
            found: d detections, boxes in pixels of the batch.
            masks: [d, h, w] probabilities at the prototypes' size.
            seen: (H, W) of the resized image on the canvas.
            canvas: (H, W) of the padded batch.
            size: (H, W) of the original image.
        """
        scores = found.scores
        if self.mask_iou_net is not None:  # YOLACT++: a good class with a poor mask scores less
            quality = self.mask_iou_net(masks).gather(1, found.classes[:, None])[:, 0]  # [d]
            scores = scores * quality
        order = scores.argsort(descending=True, stable=True)  # [d]
        boxes = scale_boxes(found.boxes, seen, size)  # [d, 4]
        if self.reference.whole_pixels:
            boxes = boxes.trunc()
        instances = Instances(
            clip_boxes(boxes, size),
            scores,
            found.classes + 1,
            masks_of_image(masks, canvas, seen, size),  # [d, H, W]
        )
        return Prediction(size, self.categories, instances[order])

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true boxes, and the true masks at the prototypes' size, cropped and enlarged."""
        check_targets([image], [target], len(self.categories))
        objects, size = target[~target.iscrowd], target.size
        masks = objects.masks  # [G, H, W]
        if len(objects):
            batch = self.prepare([image])
            (seen,), canvas = batch.sizes, batch.canvas
            cells = self.prototype_size(canvas)
            padding = (0, canvas[1] - seen[1], 0, canvas[0] - seen[0])
            resized = F.pad(self.resize(masks.float()), padding)  # [G, H', W'], the canvas
            shares = F.adaptive_avg_pool2d(resized, cells)  # [G, h, w]
            boxes = boxes_in_cells(scale_boxes(objects.boxes, size, seen), canvas, cells)
            masks = masks_of_image(crop_masks(shares, boxes), canvas, seen, size)  # [G, H, W]
        scores = torch.ones_like(objects.boxes[:, 0])
        instances = Instances(objects.boxes, scores, objects.labels, masks)
        return Prediction(size, self.categories, instances)

    def prototype_size(self, canvas: Size) -> Size:
        """(h, w) of the prototypes of an image of (H, W): twice the finest level's."""
        height, width = (2 * math.ceil(side / (2 * self.prototype_stride)) for side in canvas)
        return height, width

    @property
    def prototype_stride(self) -> int:
        """Image pixels from one cell of the prototypes to the next."""
        return self.backbone.strides[-BACKBONE_LEVELS] // 2

    @property
    def output_form(self) -> OutputForm:
        """Masks on the grid of the prototypes."""
        stride = self.prototype_stride
        return OutputForm(
            f"a perfect detector with masks of stride {stride} in its boxes", {"stride": stride}
        )

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The head's class layer, the semantic layer, and the last layer of the re-scoring."""
        layers = ["head.class_logits", "semantic.logits"]
        if self.mask_iou_net is not None:
            layers.append("mask_iou_net.iou")
        return {f"{layer}.{part}": (0,) for layer in layers for part in ("weight", "bias")}
