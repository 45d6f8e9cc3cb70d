"""Cascade Mask R-CNN (Cai and Vasconcelos, CVPR 2018, arXiv 1712.00726; TPAMI 1906.09756).

The idea: a box head trained with IoU 0.5 accepts sloppy boxes, but one trained with 0.7 alone
finds hardly any positives among the RPN's proposals. So put three in a row: each corrects the
boxes, and the better boxes are what the next, stricter one learns from.

    proposals [n, 4]
      RoIAlign -> head 1 (IoU 0.5) -> scores, boxes 1
                  RoIAlign on boxes 1 -> head 2 (IoU 0.6) -> scores, boxes 2
                                         RoIAlign on boxes 2 -> head 3 (IoU 0.7) -> scores, boxes 3
    detections: boxes 3 with the mean of the three heads' probabilities; masks as in Mask R-CNN

Two references differ, and so does what a checkpoint expects; `variant` chooses:

                          "official" (the authors' code)           "detectron2"
    loss of the stages    weighted 1, 1/2, 1/4                     all 1, the gradient into
                                                                   shared features over 3
    scores at test        every head on the boxes of stage 2       each head on its own input
    mask head learns on   the boxes of the last stage              those of the first
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.cascade_rcnn.config import CascadeRCNNConfig
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn.losses import box_losses
from seglib.models.mask_rcnn.model import MaskRCNN, MaskRCNNOutput
from seglib.models.mask_rcnn.sampling import LabelledBoxes, label_boxes
from seglib.models.targets import SizedTarget
from seglib.ops.box_coder import decode_deltas
from seglib.ops.boxes import clip_boxes
from seglib.ops.detections import Detections

Size = tuple[int, int]


@dataclass(eq=False)
class CascadeStage:
    """One stage's part: the boxes it was given and what it said of them.

    Attributes:
        boxes: [n_b, 4] of every image, in pixels of the batch.
        logits: [R, K] class logits, image after image.
        deltas: [R, 1, 4] corrections.
        refined: [n_b, 4] the corrected boxes, clipped: what the next stage is given.
    """

    boxes: list[Tensor]
    logits: Tensor
    deltas: Tensor
    refined: list[Tensor]


@dataclass(eq=False)
class CascadeOutput(MaskRCNNOutput):
    """What all stages say of a batch; `logits` and `deltas` are the last stage's.

    Attributes:
        stages: first to last.
        probabilities: [R, K] the averaged class probabilities.
    """

    stages: list[CascadeStage]
    probabilities: Tensor


class CascadeRCNN(MaskRCNN):
    """Mask R-CNN whose box head is a cascade of class-agnostic ones.

    Attributes:
        box_heads: one a stage.
    """

    name: ClassVar[str] = "cascade_rcnn"
    config_class: ClassVar[type[ModelConfig]] = CascadeRCNNConfig
    config: CascadeRCNNConfig

    def _add_box_heads(self) -> None:
        self.box_heads = nn.ModuleList(
            self._box_head(class_agnostic=True) for _ in self.config.stage_ious
        )

    @property
    def foreground_iou(self) -> float:
        """Overlap from which a proposal is foreground for the first stage."""
        return self.config.stage_ious[0]

    def class_parameters(self) -> dict[str, tuple[int, ...]]:
        """The scores of every stage and the masks; corrections are for all classes alike."""
        layers = [f"box_heads.{stage}.cls_score" for stage in range(len(self.box_heads))]
        layers.append("mask_head.mask_fcn_logits")
        return {f"{layer}.{part}": (0,) for layer in layers for part in ("weight", "bias")}

    def forward(self, images: Sequence[Tensor]) -> CascadeOutput:
        """All stages on images of any size, float [3, H, W] in 0…1."""
        batch, pyramid, rpn = self.first_stage(images)
        proposals = [boxes for boxes, _ in self.rpn.proposals(rpn, batch.sizes)]
        stages = self.refine(pyramid, proposals, batch.sizes)
        last = stages[-1]
        if self.config.variant == "official":
            pooled = self.box_pooler(pyramid, last.boxes)
            logits = [head(pooled)[0] for head in self.box_heads]
        else:
            logits = [stage.logits for stage in stages]
        probabilities = torch.stack([one.softmax(1) for one in logits]).mean(0)
        return CascadeOutput(
            pyramid, rpn, proposals, last.logits, last.deltas, batch, stages, probabilities
        )

    def refine(
        self, pyramid: tuple[Tensor, ...], proposals: Sequence[Tensor], sizes: Sequence[Size]
    ) -> list[CascadeStage]:
        """Correct proposals stage by stage, [n_b, 4] an image in pixels of the batch."""
        boxes, stages = list(proposals), []
        for stage in range(len(self.box_heads)):
            logits, deltas = self.box_heads[stage](self.box_pooler(pyramid, boxes))
            refined = self._refined(stage, boxes, deltas, sizes)
            stages.append(CascadeStage(boxes, logits, deltas, refined))
            boxes = refined
        return stages

    def _refined(
        self, stage: int, boxes: Sequence[Tensor], deltas: Tensor, sizes: Sequence[Size]
    ) -> list[Tensor]:
        """Where a stage puts its boxes; no gradient flows through them (section 4.2)."""
        weights = self.config.stage_box_weights[stage]
        moved = decode_deltas(torch.cat(list(boxes)), deltas.detach()[:, 0], weights)
        return [
            clip_boxes(of_image, size)
            for of_image, size in zip(moved.split([len(b) for b in boxes]), sizes, strict=True)
        ]

    def _box_loss(
        self,
        pyramid: tuple[Tensor, ...],
        drawn: list[LabelledBoxes],
        truth: list[SizedTarget],
        sizes: list[Size],
    ) -> tuple[dict[str, Tensor], list[LabelledBoxes]]:
        """Per stage "class_loss_1", "box_loss_1", …; and the boxes that the mask head learns on."""
        losses: dict[str, Tensor] = {}
        labelled, refined = drawn, [b.boxes for b in drawn]
        official = self.config.variant == "official"
        for stage, head in enumerate(self.box_heads):
            if stage > 0:
                labelled = [
                    label_boxes(_solid(boxes), t.boxes, t.labels, self.config.stage_ious[stage])
                    for boxes, t in zip(refined, truth, strict=True)
                ]
            boxes = [b.boxes for b in labelled]
            pooled = self.box_pooler(pyramid, boxes)
            if not official:
                pooled = _ScaledGradient.apply(pooled, 1 / len(self.box_heads))
            logits, deltas = head(pooled)
            classes, corrections = box_losses(
                logits,
                deltas,
                torch.cat([b.labels for b in labelled]),
                torch.cat([b.deltas(self.config.stage_box_weights[stage]) for b in labelled]),
                global_mean_count(len(logits)),
                self.reference.box_beta,
            )
            weight = self.config.stage_loss_weights[stage] if official else 1.0
            losses[f"class_loss_{stage + 1}"] = classes * weight
            losses[f"box_loss_{stage + 1}"] = corrections * weight
            refined = self._refined(stage, boxes, deltas, sizes)
        return losses, labelled if official else drawn

    def detect(self, output: MaskRCNNOutput) -> list[Detections]:
        """The last stage's boxes, scored by all."""
        assert isinstance(output, CascadeOutput)
        refined = output.stages[-1].refined
        scores = output.probabilities[:, 1:].split([len(boxes) for boxes in refined])
        return self._select(refined, scores, output.batch.sizes)


class _ScaledGradient(torch.autograd.Function):
    """The same numbers; the gradient on the way back is multiplied."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * ctx.factor, None


def _solid(boxes: Tensor) -> Tensor:
    """Boxes that the correction has not emptied."""
    return boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
