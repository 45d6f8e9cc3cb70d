"""Mask R-CNN (He, Gkioxari, Dollár, Girshick, ICCV 2017, arXiv 1703.06870).

The idea: a two-stage detector first proposes boxes, then reads the features inside each one to
classify and correct it. Mask R-CNN adds a small, fully convolutional branch that decides for each
pixel of the box whether it belongs to the object, and reads without rounding (RoIAlign), so that
features and pixels stay aligned.

    image [B, 3, H, W]
      ResNet + FPN  -> pyramid [B, F, H_l, W_l], strides 4, 8, 16, 32, 64 (pocket(): from 2)
      RPN           -> proposals [n, 4] per image                                (rpn.py)
      RoIAlign 7x7  -> box head  -> class logits [R, K], deltas [R, K, 4]        (box_heads.py)
      NMS per class -> detections [d, 4] per image
      RoIAlign 14x14 -> mask head -> [d, K, 28, 28] -> the mask of the detected class, pasted into
                                     its box at the image's size                 (mask_branch.py)

R-CNN (2014) ran a network on every warped proposal; Fast R-CNN (2015) shared its features; Faster
R-CNN (2015) made the proposals from them as well. Without its mask branch this is Faster R-CNN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seglib.distributed import image_generators
from seglib.models.backbone import make_resnet
from seglib.models.base import OutputForm, Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn.box_heads import BoxHeads, BoxHeadsOutput, SingleBoxHead
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.mask_branch import MaskBranch
from seglib.models.mask_rcnn.pooler import PyramidPooler
from seglib.models.mask_rcnn.rpn import RegionProposalNetwork, RPNOutput
from seglib.models.targets import check_targets, sized_targets
from seglib.nn.anchors import Anchors
from seglib.nn.fpn import FPN
from seglib.ops.boxes import scale_boxes
from seglib.ops.detections import Detections, select_detections
from seglib.ops.images import resize_longer, resize_shorter
from seglib.ops.mask_paste import crop_resize_masks, paste_masks
from seglib.structures import Categories, ImageBatch, Instances, Prediction, Size, Target


@dataclass(eq=False)
class MaskRCNNOutput:
    """The outputs of the two stages for a batch, before detections are selected.

    Attributes:
        pyramid: feature maps [B, F, H_l, W_l], finest first.
        rpn: the first stage's output.
        proposals: [n, 4] boxes per image, in pixels of the batch.
        box_heads: the second stage's output for the proposals.
        batch: the images as the network saw them.
    """

    pyramid: tuple[Tensor, ...]
    rpn: RPNOutput
    proposals: list[Tensor]
    box_heads: BoxHeadsOutput
    batch: ImageBatch


class MaskRCNN(Segmenter):
    """The whole two-stage network.

    Attributes:
        backbone, fpn: turn images into a pyramid.
        rpn: predicts proposals from the pyramid.
        box_heads: classifies and corrects proposals.
        mask_branch: predicts the masks of detections.
    """

    name: ClassVar[str] = "mask_rcnn"
    tasks: tuple[Task, ...] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = MaskRCNNConfig
    box_heads_class: ClassVar[type[BoxHeads]] = SingleBoxHead
    config: MaskRCNNConfig

    def __init__(self, config: MaskRCNNConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.classes, self.reference = len(categories) + 1, config.reference
        self.backbone = make_resnet(config, stride_in_1x1=config.stride_in_1x1)
        self.fpn = FPN(self.backbone.channels, config.fpn_width, pooled_level=config.pooled_level)
        anchors = Anchors(
            config.anchor_sizes, config.anchor_ratios, rounded=self.reference.rounded_anchors
        )
        self.rpn = RegionProposalNetwork(
            config.fpn_width, anchors, config.rpn, self.reference.box_beta
        )
        box_pooler, mask_pooler = (
            PyramidPooler.of(config, bins, self.backbone.strides)
            for bins in (config.box_bins, config.mask_bins)
        )
        self.box_heads = self.box_heads_class(config, box_pooler, self.classes)
        self.mask_branch = MaskBranch(config, mask_pooler, self.classes)

    def forward(self, images: Sequence[Tensor]) -> MaskRCNNOutput:
        """Both stages on images of any size, float [3, H, W] in 0…1."""
        batch, pyramid, rpn = self.first_stage(images)  # pyramid: [B, F, H_l, W_l] each
        proposals = [boxes for boxes, _ in self.rpn.proposals(rpn, batch.sizes)]  # [n, 4] each
        box_heads = self.box_heads(pyramid, proposals, batch.sizes)
        return MaskRCNNOutput(pyramid, rpn, proposals, box_heads, batch)

    def first_stage(
        self, images: Sequence[Tensor]
    ) -> tuple[ImageBatch, tuple[Tensor, ...], RPNOutput]:
        """The prepared batch, its pyramid, and the RPN's output for it."""
        batch = self.prepare(images, divisor=max(self.backbone.strides))  # tensor [B, 3, H, W]
        pyramid = self.features(batch)  # [B, F, H_l, W_l] each
        levels = pyramid[-len(self.config.anchor_sizes) :]
        return batch, pyramid, self.rpn(levels, batch.canvas)

    def features(self, batch: ImageBatch) -> tuple[Tensor, ...]:
        """The pyramid [B, F, H_l, W_l] of a batch, finest first."""
        pyramid: tuple[Tensor, ...] = self.fpn(self.backbone(batch.tensor))
        return pyramid

    def resize(self, image: Tensor) -> Tensor:
        """Resize by the shorter side if the config has `min_size`, as published (section 3.1)."""
        if self.config.min_size is None:
            return resize_longer(image, self.config.image_size)
        return resize_shorter(image, self.config.min_size, self.config.max_size)

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The losses of all parts, to be summed with equal weight as published (section 3).

        Returns:
            "objectness_loss", "rpn_box_loss", the box heads' "class_loss" and "box_loss" (in a
            cascade one pair per stage, "class_loss_1"…), and "mask_loss".

        Raises:
            SeglibError: a target whose masks do not have its image's size, or a label that the
                model does not know.
        """
        batch, pyramid, rpn = self.first_stage(images)
        truth = sized_targets(images, targets, batch, len(self.categories))
        generators = image_generators([target.image_id for target in targets])
        objectness_loss, rpn_box_loss = self.rpn.loss(rpn, [t.boxes for t in truth], generators)
        proposals = [boxes for boxes, _ in self.rpn.proposals(rpn, batch.sizes)]  # [n, 4] each
        sampled = self.box_heads.sample(proposals, truth, generators)  # 512 per image
        box_heads_losses, mask_boxes = self.box_heads.loss(pyramid, sampled)
        return {
            "objectness_loss": objectness_loss,
            "rpn_box_loss": rpn_box_loss,
            **box_heads_losses,
            "mask_loss": self.mask_branch.loss(pyramid, mask_boxes),
        }

    def predict_batch(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Detected objects with masks, best first, at each image's own size."""
        output = self(images)
        detections = self.detect(output)
        # Masks of the final boxes only, which are fewer and better (section 3.1, Inference).
        masks = self.mask_branch.masks(output.pyramid, detections)  # [d, M, M] each
        predictions = []
        seen = output.batch.sizes
        for image, old, found, cells in zip(images, seen, detections, masks, strict=True):
            size = (image.shape[-2], image.shape[-1])
            boxes = scale_boxes(found.boxes, old, size)  # [d, 4]
            predictions.append(self._pasted(size, boxes, found.scores, found.classes + 1, cells))
        return predictions

    def detect(self, output: MaskRCNNOutput) -> list[Detections]:
        """Each image's detections, in pixels of the batch."""
        config, heads = self.config, output.box_heads
        images = zip(heads.boxes, heads.scores, output.batch.sizes, strict=True)
        return [
            select_detections(
                boxes,  # [n, C, 4]
                scores,  # [n, C]
                size,
                config.score_threshold,
                config.nms_iou,
                config.max_detections,
                min_size=self.reference.min_detection,
            )
            for boxes, scores, size in images
        ]

    def _pasted(
        self, size: Size, boxes: Tensor, scores: Tensor, labels: Tensor, cells: Tensor
    ) -> Prediction:
        """Objects with boxes [d, 4], and masks [d, M, M] pasted into them at the image's (H, W)."""
        masks = paste_masks(cells, boxes, size, rounded=self.reference.rounded_paste)  # [d, H, W]
        return Prediction(size, self.categories, Instances(boxes, scores, labels, masks))

    def perfect(self, image: Tensor, target: Target) -> Prediction:
        """The true boxes, and the true masks cropped to the mask head's cells and pasted back."""
        check_targets([image], [target], len(self.categories))
        objects = target[~target.iscrowd]
        boxes, aligned = objects.boxes, self.reference.aligned  # [G, 4]
        cells = crop_resize_masks(
            objects.masks, boxes, self.mask_size, threshold=None, aligned=aligned
        )  # [G, M, M]
        return self._pasted(target.size, boxes, torch.ones_like(boxes[:, 0]), objects.labels, cells)

    @property
    def output_form(self) -> OutputForm:
        """Masks with few cells, inside boxes."""
        cells = self.mask_size
        return OutputForm(
            f"a perfect detector with {cells} x {cells} masks in its boxes", {"cells": cells}
        )

    @property
    def mask_size(self) -> int:
        """M, cells along a side of the masks inside boxes."""
        return 2 * self.config.mask_bins

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The last layers of the box heads and of the mask head."""
        layers = [f"box_heads.{layer}" for layer in self.box_heads.class_layers]
        layers.append("mask_branch.head.mask_fcn_logits")
        return {f"{layer}.{part}": (0,) for layer in layers for part in ("weight", "bias")}
