"""Region proposal network (Ren et al., NIPS 2015, section 3.1; on a pyramid, Lin et al. 2017).

    pyramid map [B, F, H, W]
      3x3 conv, ReLU
        1x1 conv -> objectness  [B, A, H, W]      is something centred here, of this anchor's shape?
        1x1 conv -> deltas      [B, 4A, H, W]     how to move and stretch the anchor onto it
    anchors + deltas -> boxes -> the best of each level -> clip -> NMS -> proposals

The same small network slides over every level. It knows no classes, only "object or not".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.mask_rcnn.losses import rpn_losses
from seglib.models.mask_rcnn.proposals import select_proposals
from seglib.nn.anchors import Anchors
from seglib.nn.layers import Conv2d
from seglib.ops.assignment import IGNORED, POSITIVE, assign_boxes, balanced_sample
from seglib.ops.box_coder import decode_deltas, encode_deltas
from seglib.ops.boxes import box_iou
from seglib.ops.precision import at_least_float32

Size = tuple[int, int]


@dataclass(frozen=True)
class RPNRules:
    """The numbers of an RPN; the defaults are the papers'.

    Attributes:
        positive_iou: an anchor that overlaps an object by this learns it.
        negative_iou: one that overlaps none by this learns "nothing"; between the two: no loss.
        sampled: anchors an image with a loss.
        positive_fraction: the largest share of positives among them.
        before_nms: boxes a level that enter suppression, in training and in evaluation.
        after_nms: proposals an image, in training and in evaluation.
        nms_iou: overlap at which the weaker of two proposals of a level goes.
        min_size: sides in pixels that a clipped proposal must exceed; torchvision's are 1e-3.
    """

    positive_iou: float = 0.7
    negative_iou: float = 0.3
    sampled: int = 256
    positive_fraction: float = 0.5
    before_nms: tuple[int, int] = (2000, 1000)
    after_nms: tuple[int, int] = (2000, 1000)
    nms_iou: float = 0.7
    min_size: float = 0.0


class RPNOutput(NamedTuple):
    """What an RPN says of a batch, level by level, finest first.

    Attributes:
        logits: [B, n] objectness of every anchor of the level.
        deltas: [B, n, 4] its correction.
        anchors: [n, 4] corners in pixels of the padded batch, the same for all images.
    """

    logits: list[Tensor]
    deltas: list[Tensor]
    anchors: list[Tensor]


class RPNHead(nn.Module):
    """The sliding network, shared by all levels; torchvision's state-dict names.

    Args:
        width: F, channels of the pyramid.
        anchors_per_cell: A.
    """

    def __init__(self, width: int, anchors_per_cell: int) -> None:
        super().__init__()
        hidden = Conv2d(width, width, kernel_size=3, padding=1)
        self.conv = nn.Sequential(nn.Sequential(hidden))
        self.cls_logits = Conv2d(width, anchors_per_cell, kernel_size=1)
        self.bbox_pred = Conv2d(width, 4 * anchors_per_cell, kernel_size=1)
        for layer in (hidden, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, H, W] -> logits [B, H·W·A] and deltas [B, H·W·A, 4], in the anchors' order."""
        hidden = F.relu(self.conv(features), inplace=True)
        logits = self.cls_logits(hidden).permute(0, 2, 3, 1)  # [B, H, W, A]
        deltas = self.bbox_pred(hidden).permute(0, 2, 3, 1)  # [B, H, W, 4A]
        batch = len(features)
        return (
            at_least_float32(logits.reshape(batch, -1)),
            at_least_float32(deltas.reshape(batch, -1, 4)),
        )


class RegionProposalNetwork(nn.Module):
    """From a feature pyramid to proposals, and to the losses that teach it.

    Args:
        width: channels of the pyramid.
        anchors: their sizes and shapes, level by level.
        rules: thresholds and counts.
        box_beta: of the box loss's `smooth_l1`.
    """

    def __init__(
        self, width: int, anchors: Anchors, rules: RPNRules, box_beta: float = 0.0
    ) -> None:
        super().__init__()
        self.anchors, self.rules, self.box_beta = anchors, rules, box_beta
        self.head = RPNHead(width, anchors.per_cell[0])

    def forward(self, pyramid: Sequence[Tensor], canvas: Size) -> RPNOutput:
        """Score and correct every anchor.

        Args:
            pyramid: [B, F, H_l, W_l], finest first.
            canvas: (H, W) of the padded batch in pixels.
        """
        logits, deltas = zip(*(self.head(level) for level in pyramid), strict=True)
        sizes = [(level.shape[-2], level.shape[-1]) for level in pyramid]
        # Pixels a cell, rounded down, where a level does not divide the canvas: as torchvision.
        strides = [(canvas[0] // height, canvas[1] // width) for height, width in sizes]
        anchors = self.anchors.on(sizes, strides, pyramid[0].device)
        anchors = [level.to(deltas[0].dtype) for level in anchors]
        return RPNOutput(list(logits), list(deltas), anchors)

    def proposals(self, output: RPNOutput, sizes: Sequence[Size]) -> list[tuple[Tensor, Tensor]]:
        """The best boxes of every image.

        Args:
            output: of `forward`.
            sizes: (H, W) of every image inside the batch.

        Returns:
            for every image [K, 4] boxes in pixels and [K] logits, best first, without gradient.
        """
        stage = 0 if self.training else 1
        most = self.rules.before_nms[stage]
        levels = [
            _best(*level, most)
            for level in zip(output.logits, output.deltas, output.anchors, strict=True)
        ]
        return [
            select_proposals(
                [boxes[image] for boxes, _ in levels],
                [logits[image] for _, logits in levels],
                size,
                before_nms=most,
                after_nms=self.rules.after_nms[stage],
                iou_threshold=self.rules.nms_iou,
                min_size=self.rules.min_size,
            )
            for image, size in enumerate(sizes)
        ]

    def loss(
        self,
        output: RPNOutput,
        objects: Sequence[Tensor],
        generators: Sequence[torch.Generator],
    ) -> tuple[Tensor, Tensor]:
        """Objectness and box loss of a batch, both divided by the anchors drawn.

        Args:
            output: of `forward`.
            objects: [G, 4] true boxes of every image, in pixels of the batch.
            generators: one an image, for drawing anchors.
        """
        anchors = torch.cat(output.anchors)  # [N, 4]
        drawn = [
            self.assign(anchors, boxes, generator)
            for boxes, generator in zip(objects, generators, strict=True)
        ]
        labels = torch.cat([labels for labels, _ in drawn])  # [B·N]
        targets = torch.cat([targets for _, targets in drawn])
        return rpn_losses(
            torch.cat(output.logits, dim=1).flatten(),
            torch.cat(output.deltas, dim=1).flatten(0, 1),
            labels,
            targets,
            global_mean_count((labels >= 0).sum()),
            self.box_beta,
        )

    def assign(
        self, anchors: Tensor, objects: Tensor, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """What each anchor of one image should say, for the anchors drawn.

        Args:
            anchors: [N, 4].
            objects: [G, 4] true boxes.
            generator: for the draw.

        Returns:
            int64 [N] labels, 1 object, 0 nothing, −1 not drawn or ambiguous; [N, 4] true deltas,
            zero where there is no object.
        """
        rules = self.rules
        matched, index = assign_boxes(
            box_iou(objects, anchors),
            rules.positive_iou,
            rules.negative_iou,
            allow_low_quality=True,
        )
        positive, negative = balanced_sample(
            matched, rules.sampled, rules.positive_fraction, generator
        )
        labels = torch.full_like(matched, IGNORED)
        labels[negative] = 0
        labels[positive] = POSITIVE
        targets = torch.zeros_like(anchors)
        targets[positive] = encode_deltas(anchors[positive], objects[index[positive]])
        return labels, targets


def _best(logits: Tensor, deltas: Tensor, anchors: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The best boxes of a level: only they are worth decoding.

    Args:
        logits: [B, n].
        deltas: [B, n, 4].
        anchors: [n, 4].
        most: k.

    Returns:
        [B, min(n, k), 4] boxes and their logits, best first, without gradient.
    """
    top = logits.detach().topk(min(most, logits.shape[1]), dim=1)
    chosen = deltas.detach().gather(1, top.indices[:, :, None].expand(-1, -1, 4))
    return decode_deltas(anchors[top.indices], chosen), top.values
