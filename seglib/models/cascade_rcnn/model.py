"""Cascade Mask R-CNN (Cai and Vasconcelos, CVPR 2018, arXiv 1712.00726; TPAMI 1906.09756).

The idea: a box head trained with an IoU threshold of 0.5 accepts loose boxes, but one trained with
0.7 finds hardly any positives among the RPN's proposals. So three heads are put in a row: each
corrects the boxes, and the next, stricter one learns from the better boxes.

    proposals [n, 4]
      RoIAlign -> head 1 (IoU 0.5) -> scores, boxes 1
                  RoIAlign on boxes 1 -> head 2 (IoU 0.6) -> scores, boxes 2
                                         RoIAlign on boxes 2 -> head 3 (IoU 0.7) -> scores, boxes 3
    detections: boxes 3 with the mean of the three heads' probabilities; masks as in Mask R-CNN

A checkpoint expects one of two reference implementations, which differ; `variant` chooses:

                          "official" (the authors' code)           "detectron2"
    losses of the stages  weighted 1, 1/2, 1/4                     all 1, the gradient into
                                                                   shared features / 3
    scores at test time   every head on the boxes given to         each head on the boxes given
                          the last stage                           to its own
    mask head learns on   the boxes given to the last stage        those given to the first

Everything else is Mask R-CNN: the cascade has other box heads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seglib.models.cascade_rcnn.config import CascadeRCNNConfig
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn.box_heads import BoxHeads, BoxHeadsOutput
from seglib.models.mask_rcnn.box_targets import LabelledBoxes, label_boxes
from seglib.models.mask_rcnn.model import MaskRCNN
from seglib.models.mask_rcnn.pooler import PyramidPooler
from seglib.ops.boxes import clip_boxes, decode_deltas
from seglib.structures import Size


@dataclass(eq=False)
class CascadeStage:
    """The input and output of one stage.

    Attributes:
        boxes: [n, 4] per image, in pixels of the batch.
        logits: [R, K] class logits, image after image.
        deltas: [R, 1, 4] corrections.
        refined: [n, 4] per image, the corrected boxes, clipped: the next stage's input.
    """

    boxes: list[Tensor]
    logits: Tensor
    deltas: Tensor
    refined: list[Tensor]


@dataclass(eq=False)
class CascadeOutput(BoxHeadsOutput):
    """The output of all stages for a batch; `logits`, `deltas` and `boxes` are the last stage's.

    Attributes:
        stages: the output of each stage, first to last.
        probabilities: [R, K] class probabilities, averaged over the heads.
    """

    stages: list[CascadeStage]
    probabilities: Tensor


class CascadeBoxHeads(BoxHeads):
    """Class-agnostic box heads in a row.

    Attributes:
        heads: one per stage.
    """

    config: CascadeRCNNConfig

    def __init__(self, config: CascadeRCNNConfig, pooler: PyramidPooler, classes: int) -> None:
        super().__init__(config, pooler, classes)
        self.heads = nn.ModuleList(self.new_head(class_agnostic=True) for _ in config.stage_ious)

    @property
    def foreground_iou(self) -> float:
        """The threshold of the first stage."""
        return self.config.stage_ious[0]

    @property
    def class_layers(self) -> list[str]:
        """The scores of every stage; corrections are the same for all classes."""
        return [f"heads.{stage}.cls_score" for stage in range(len(self.heads))]

    def forward(
        self, pyramid: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> CascadeOutput:
        """See `BoxHeads.forward`."""
        stages = self.refine(pyramid, proposals, sizes)
        last = stages[-1]
        if self.config.variant == "official":
            pooled = self.pooler(pyramid, last.boxes)  # [R, F, P, P]
            logits = [head(pooled)[0] for head in self.heads]  # [R, K] each
        else:
            logits = [stage.logits for stage in stages]
        probabilities = torch.stack([one.softmax(1) for one in logits]).mean(0)  # [R, K]
        scores = probabilities[:, 1:].split([len(boxes) for boxes in last.refined])  # [n, C] each
        return CascadeOutput(last.logits, last.deltas, last.refined, scores, stages, probabilities)

    def refine(
        self, pyramid: Sequence[Tensor], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> list[CascadeStage]:
        """Correct proposals [n, 4] per image, stage by stage (section 4.1)."""
        boxes, stages = list(proposals), []
        for stage, head in enumerate(self.heads):
            logits, deltas = head(self.pooler(pyramid, boxes))  # [R, K], [R, 1, 4]
            refined = self._moved(stage, boxes, deltas, sizes)  # [n, 4] each
            stages.append(CascadeStage(boxes, logits, deltas, refined))
            boxes = refined
        return stages

    def _moved(
        self, stage: int, boxes: Sequence[Tensor], deltas: Tensor, sizes: Sequence[Size]
    ) -> list[Tensor]:
        """The boxes [n, 4] as a stage corrects them; no gradient flows through, as published."""
        weights = self.config.stage_box_weights[stage]
        moved = decode_deltas(torch.cat(list(boxes)), deltas.detach()[:, 0], weights)  # [R, 4]
        parts = moved.split([len(b) for b in boxes])  # [n, 4] each
        return [clip_boxes(part, size) for part, size in zip(parts, sizes, strict=True)]

    def loss(
        self, pyramid: Sequence[Tensor], sampled: list[LabelledBoxes]
    ) -> tuple[dict[str, Tensor], list[LabelledBoxes]]:
        """ "class_loss_1", "box_loss_1" and so on, one pair per stage (section 4.2).

        Later stages do not sample: they label, with a higher threshold, the boxes that the previous
        stage has moved, which overlap the objects more.
        """
        losses: dict[str, Tensor] = {}
        official = self.config.variant == "official"
        labelled, moved = sampled, [b.boxes for b in sampled]
        for stage, head in enumerate(self.heads):
            if stage > 0:
                iou = self.config.stage_ious[stage]
                labelled = [
                    label_boxes(_with_area(boxes), b.truth, iou)
                    for boxes, b in zip(moved, labelled, strict=True)
                ]
            boxes = [b.boxes for b in labelled]  # [n, 4] each
            pooled = self.pooler(pyramid, boxes)  # [R, F, P, P]
            if not official:
                pooled = _ScaledGradient.apply(pooled, 1 / len(self.heads))
            logits, deltas = head(pooled)  # [R, K], [R, 1, 4]
            class_loss, box_loss = self.head_losses(
                logits, deltas, labelled, self.config.stage_box_weights[stage]
            )
            weight = self.config.stage_loss_weights[stage] if official else 1.0
            losses[f"class_loss_{stage + 1}"] = class_loss * weight
            losses[f"box_loss_{stage + 1}"] = box_loss * weight
            moved = self._moved(stage, boxes, deltas, [b.image_size for b in labelled])
        return losses, labelled if official else sampled


class CascadeRCNN(MaskRCNN):
    """Mask R-CNN whose box heads are a cascade."""

    name: ClassVar[str] = "cascade_rcnn"
    config_class: ClassVar[type[ModelConfig]] = CascadeRCNNConfig
    box_heads_class: ClassVar[type[BoxHeads]] = CascadeBoxHeads
    config: CascadeRCNNConfig


class _ScaledGradient(torch.autograd.Function):
    """The identity, whose backward pass multiplies the gradient by a factor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def _with_area(boxes: Tensor) -> Tensor:
    """Those of the boxes [n, 4] that still have an area after the correction."""
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
