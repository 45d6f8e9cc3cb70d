"""Mask R-CNN (He, Gkioxari, Dollár, Girshick, ICCV 2017, arXiv 1703.06870).

The idea: a detector in two stages first proposes boxes, then reads the features inside each to
name and correct it; add a third, small, fully convolutional branch that says for each pixel of the
box whether it is the object's. Reading without rounding (RoIAlign) is what makes pixels come right.

    image [B, 3, H, W]
      ResNet + FPN      -> pyramid, strides 4, 8, 16, 32 (and 64), F channels; pocket() has 2, too
      RPN               -> proposals [n, 4] an image                      (models/mask_rcnn/rpn.py)
      RoIAlign 7x7      -> box head  -> class logits [R, K], deltas [R, K, 4]
      NMS by class      -> detections [d, 4]
      RoIAlign 14x14    -> mask head -> [d, K, 28, 28] -> the class's own -> pasted at image size

R-CNN (2014) ran a network on every warped proposal; Fast R-CNN (2015) shared its features; Faster
R-CNN (2015) made the proposals from them as well. Without its mask branch this is Faster R-CNN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from seglib.distributed import global_mean_count, image_generators
from seglib.models.base import Segmenter, Task
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.heads import BoxHead, MaskHead, PyramidPooler
from seglib.models.mask_rcnn.losses import box_losses, mask_loss, softmax_mask_loss
from seglib.models.mask_rcnn.reference_rules import REFERENCES
from seglib.models.mask_rcnn.rpn import RegionProposalNetwork, RPNOutput
from seglib.models.mask_rcnn.sampling import LabelledBoxes, label_boxes, sample_boxes
from seglib.models.targets import SizedTarget, scale_boxes, sized_targets
from seglib.nn.anchors import Anchors
from seglib.nn.fpn import FPN
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet
from seglib.ops.box_coder import decode_deltas
from seglib.ops.detections import Detections, select_detections
from seglib.ops.images import resize_shorter
from seglib.ops.mask_paste import crop_resize_masks, paste_masks
from seglib.structures import Categories, ImageBatch, Instances, Prediction, Target


@dataclass(eq=False)
class MaskRCNNOutput:
    """What the two stages say of a batch, before any selection by class.

    Attributes:
        pyramid: feature maps [B, F, H_l, W_l], finest first.
        rpn: the first stage's output.
        proposals: [n_b, 4] boxes of every image, in pixels of the batch.
        logits: [R, K] class logits of all proposals, image after image.
        deltas: [R, K, 4] corrections (class-agnostic [R, 1, 4]).
        batch: the images as the network saw them.
    """

    pyramid: tuple[Tensor, ...]
    rpn: RPNOutput
    proposals: list[Tensor]
    logits: Tensor
    deltas: Tensor
    batch: ImageBatch


class MaskRCNN(Segmenter):
    """Two-stage instance segmentation, whole.

    Attributes:
        backbone, fpn: image to pyramid.
        rpn: pyramid to proposals.
        box_pooler, box_head: proposals to classes and corrections.
        mask_pooler, mask_head: detections to masks.
    """

    name: ClassVar[str] = "mask_rcnn"
    tasks: ClassVar[tuple[Task, ...]] = ("instances",)
    config_class: ClassVar[type[ModelConfig]] = MaskRCNNConfig
    config: MaskRCNNConfig

    def __init__(self, config: MaskRCNNConfig, categories: Categories) -> None:
        super().__init__(config, categories)
        self.classes = len(categories) + 1
        self.reference = REFERENCES[config.conventions]
        self.backbone = ResNet(
            Bottleneck if config.bottleneck else BasicBlock,
            config.blocks,
            width=config.width,
            stem=config.stem,
            norm=config.norm,
            stride_in_1x1=config.stride_in_1x1,
        )
        self.backbone.freeze(config.frozen_stages)
        self.fpn = FPN(self.backbone.channels, config.fpn_width, pooled_level=config.pooled_level)
        anchors = Anchors(
            config.anchor_sizes, config.anchor_ratios, rounded=self.reference.rounded_anchors
        )
        self.rpn = RegionProposalNetwork(
            config.fpn_width, anchors, config.rpn, self.reference.box_beta
        )
        self.box_pooler = self._pooler(config.box_bins)
        self.mask_pooler = self._pooler(config.mask_bins)
        self._add_box_heads()
        self.mask_head = MaskHead(
            config.fpn_width, config.mask_width, config.mask_convolutions, self.classes
        )

    def _pooler(self, bins: int) -> PyramidPooler:
        return PyramidPooler(
            bins,
            self.backbone.strides,
            self.config.canonical_size,
            sampling_ratio=self.reference.sampling_ratio,
            aligned=self.reference.aligned,
            pooling=self.config.pooling,
        )

    def _add_box_heads(self) -> None:
        """One box head; a cascade has several."""
        self.box_head = self._box_head()

    def _box_head(self, class_agnostic: bool = False) -> BoxHead:
        pooled = self.config.fpn_width * self.config.box_bins**2
        return BoxHead(pooled, self.config.box_hidden, self.classes, class_agnostic)

    @property
    def foreground_iou(self) -> float:
        """Overlap from which a proposal is foreground for the box head."""
        return self.config.foreground_iou

    @property
    def mask_size(self) -> int:
        """Cells along a side of the masks it predicts inside boxes."""
        return 2 * self.config.mask_bins

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The box head's and the mask head's last layers; see `Segmenter.class_parameters`."""
        layers = ("box_head.cls_score", "box_head.bbox_pred", "mask_head.mask_fcn_logits")
        return {f"{layer}.{part}": (0,) for layer in layers for part in ("weight", "bias")}

    def resize(self, image: Tensor) -> Tensor:
        """By the shorter side where the config has `min_size`, as published."""
        if self.config.min_size is None:
            return super().resize(image)
        return resize_shorter(image, self.config.min_size, self.config.max_size)

    def features(self, batch: ImageBatch) -> tuple[Tensor, ...]:
        """The pyramid [B, F, H_l, W_l] of a batch, finest first."""
        pyramid: tuple[Tensor, ...] = self.fpn(self.backbone(batch.tensor))
        return pyramid

    def forward(self, images: Sequence[Tensor]) -> MaskRCNNOutput:
        """Both stages on images of any size, float [3, H, W] in 0…1."""
        batch, pyramid, rpn = self.first_stage(images)
        proposals = [boxes for boxes, _ in self.rpn.proposals(rpn, batch.sizes)]
        logits, deltas = self.box_head(self.box_pooler(pyramid, proposals))
        return MaskRCNNOutput(pyramid, rpn, proposals, logits, deltas, batch)

    def first_stage(
        self, images: Sequence[Tensor]
    ) -> tuple[ImageBatch, tuple[Tensor, ...], RPNOutput]:
        """The batch as the network sees it, its pyramid, and what the RPN says of its anchors."""
        batch = self.prepare(images, divisor=max(self.backbone.strides))
        pyramid = self.features(batch)
        levels = pyramid[-len(self.config.anchor_sizes) :]
        return batch, pyramid, self.rpn(levels, batch.canvas)

    def loss(self, images: Sequence[Tensor], targets: Sequence[Target]) -> dict[str, Tensor]:
        """The five losses, summed with equal weight as published.

        Returns:
            "objectness_loss", "rpn_box_loss", "class_loss", "box_loss", "mask_loss".

        Raises:
            SeglibError: a target whose masks do not have its image's size, or a label the model
                does not know.
        """
        batch, pyramid, rpn = self.first_stage(images)
        truth = sized_targets(images, targets, batch, len(self.categories))
        generators = image_generators([target.image_id for target in targets])
        objectness, rpn_box = self.rpn.loss(rpn, [t.boxes for t in truth], generators)
        proposals = [boxes for boxes, _ in self.rpn.proposals(rpn, batch.sizes)]
        drawn = self.draw(proposals, truth, generators)
        second, masked = self._box_loss(pyramid, drawn, truth, batch.sizes)
        return {
            "objectness_loss": objectness,
            "rpn_box_loss": rpn_box,
            **second,
            "mask_loss": self._mask_loss(pyramid, masked, truth),
        }

    def draw(
        self,
        proposals: Sequence[Tensor],
        truth: Sequence[SizedTarget],
        generators: Sequence[torch.Generator],
    ) -> list[LabelledBoxes]:
        """Label the proposals of every image, with the true boxes among them, and draw some.

        The true boxes make sure that there is something to learn while the RPN is still blind.
        """
        config = self.config
        return [
            sample_boxes(
                label_boxes(torch.cat([boxes, t.boxes]), t.boxes, t.labels, self.foreground_iou),
                config.rois,
                config.positive_fraction,
                generator,
            )
            for boxes, t, generator in zip(proposals, truth, generators, strict=True)
        ]

    def _box_loss(
        self,
        pyramid: tuple[Tensor, ...],
        drawn: list[LabelledBoxes],
        truth: list[SizedTarget],
        sizes: list[tuple[int, int]],
    ) -> tuple[dict[str, Tensor], list[LabelledBoxes]]:
        """The box head's losses by name, and the boxes that the mask head learns on."""
        logits, deltas = self.box_head(self.box_pooler(pyramid, [b.boxes for b in drawn]))
        labels = torch.cat([b.labels for b in drawn])
        classes, boxes = box_losses(
            logits,
            deltas,
            labels,
            torch.cat([b.deltas(self.config.box_weights) for b in drawn]),
            global_mean_count(len(labels)),
            self.reference.box_beta,
        )
        return {"class_loss": classes, "box_loss": boxes}, drawn

    def _mask_loss(
        self, pyramid: tuple[Tensor, ...], drawn: list[LabelledBoxes], truth: list[SizedTarget]
    ) -> Tensor:
        positive = [b[b.labels > 0] for b in drawn]
        logits = self.mask_head(self.mask_pooler(pyramid, [b.boxes for b in positive]))
        targets = torch.cat(
            [
                crop_resize_masks(
                    t.masks,
                    b.boxes,
                    logits.shape[-1],
                    b.index,
                    threshold=self.reference.mask_threshold,
                    aligned=self.reference.aligned,
                )
                for b, t in zip(positive, truth, strict=True)
            ]
        )
        labels = torch.cat([b.labels for b in positive])
        loss = mask_loss if self.config.mask_competition == "sigmoid" else softmax_mask_loss
        return loss(logits, labels, targets, global_mean_count(len(labels)))

    def predict(self, images: Sequence[Tensor]) -> list[Prediction]:
        """Detected objects with masks, best first, at each image's own size."""
        with self.evaluating():
            output = self(images)
            detections = self.detect(output)
            masks = self.masks(output.pyramid, detections)
            return [
                self._prediction(image, seen, found, probabilities)
                for image, seen, found, probabilities in zip(
                    images, output.batch.sizes, detections, masks, strict=True
                )
            ]

    def detect(self, output: MaskRCNNOutput) -> list[Detections]:
        """What is left of every image's proposals, in pixels of the batch."""
        counts = [len(boxes) for boxes in output.proposals]
        scores = output.logits.softmax(1)[:, 1:]  # [R, C], without background
        boxes = decode_deltas(
            torch.cat(output.proposals)[:, None], output.deltas, self.config.box_weights
        )[:, 1:]  # [R, C, 4]
        return self._select(boxes.split(counts), scores.split(counts), output.batch.sizes)

    def _select(
        self,
        boxes: Sequence[Tensor],
        scores: Sequence[Tensor],
        sizes: Sequence[tuple[int, int]],
    ) -> list[Detections]:
        return [
            select_detections(
                of_image,
                of_image_scores,
                size,
                self.config.score_threshold,
                self.config.nms_iou,
                self.config.max_detections,
                min_size=self.reference.min_detection,
            )
            for of_image, of_image_scores, size in zip(boxes, scores, sizes, strict=True)
        ]

    def masks(
        self, pyramid: tuple[Tensor, ...], detections: Sequence[Detections]
    ) -> tuple[Tensor, ...]:
        """[d, S, S] probabilities of every image's detections, each of its own class."""
        logits = self.mask_head(self.mask_pooler(pyramid, [d.boxes for d in detections]))
        if self.config.mask_competition == "softmax":
            probabilities = logits.softmax(1)
        else:
            probabilities = logits.sigmoid()
        labels = torch.cat([d.classes + 1 for d in detections])
        chosen = probabilities[torch.arange(len(labels), device=labels.device), labels]
        return chosen.split([len(d.boxes) for d in detections])

    def _prediction(
        self, image: Tensor, seen: tuple[int, int], found: Detections, masks: Tensor
    ) -> Prediction:
        """Take one image's detections from the network's size to the image's own."""
        size = (image.shape[-2], image.shape[-1])
        boxes = scale_boxes(found.boxes, seen, size)
        instances = Instances(
            boxes=boxes,
            scores=found.scores,
            labels=found.classes + 1,
            masks=paste_masks(masks, boxes, size, rounded=self.reference.rounded_paste),
        )
        return Prediction(size, self.categories, instances=instances)
