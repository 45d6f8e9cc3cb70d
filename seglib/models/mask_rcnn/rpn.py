"""Region proposal network (Ren et al., NIPS 2015, section 3.1; on a pyramid, Lin et al. 2017).

    pyramid map [B, F, H, W]
      3x3 conv, ReLU
        1x1 conv -> objectness  [B, A, H, W]   is there an object that fits this anchor?
        1x1 conv -> deltas      [B, 4A, H, W]  how to move and stretch the anchor onto it
    anchors + deltas -> boxes -> the best of each level -> clip -> NMS -> proposals

The same small network slides over every level. It distinguishes objects from background, but not
classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from seglib.distributed import global_mean_count
from seglib.models.mask_rcnn.box_targets import anchor_targets
from seglib.models.mask_rcnn.config import RPNRules
from seglib.models.mask_rcnn.losses import rpn_losses
from seglib.nn.anchors import Anchors
from seglib.nn.layers import Conv2d
from seglib.ops.boxes import clip_boxes, decode_deltas
from seglib.ops.nms import batched_nms
from seglib.ops.precision import at_least_float32
from seglib.structures import Size


class RPNOutput(NamedTuple):
    """An RPN's outputs for a batch, level by level, finest first.

    Attributes:
        logits: per level, [B, n] objectness of its anchors.
        deltas: per level, [B, n, 4] corrections of its anchors.
        anchors: per level, [n, 4] corners in pixels of the padded batch, the same for all images.
    """

    logits: list[Tensor]
    deltas: list[Tensor]
    anchors: list[Tensor]


class RPNHead(nn.Module):
    """The network that slides over all levels; its layers are named as in torchvision.

    Args:
        width: F, channels of the pyramid and of the hidden layer.
        anchors_per_cell: A.
    """

    def __init__(self, width: int, anchors_per_cell: int) -> None:
        super().__init__()
        hidden = Conv2d(width, width, kernel_size=3, padding=1)
        self.conv = nn.Sequential(nn.Sequential(hidden))
        self.cls_logits = Conv2d(width, anchors_per_cell, kernel_size=1)
        self.bbox_pred = Conv2d(width, 4 * anchors_per_cell, kernel_size=1)
        for layer in (hidden, self.cls_logits, self.bbox_pred):
            nn.init.normal_(layer.weight, std=0.01)  # as published (section 3.1.3)
            nn.init.zeros_(cast(Tensor, layer.bias))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """[B, F, H, W] -> logits [B, H·W·A] and deltas [B, H·W·A, 4], in the anchors' order."""
        batch = len(features)
        hidden = F.relu(self.conv(features), inplace=True)  # [B, F, H, W]
        logits = self.cls_logits(hidden).permute(0, 2, 3, 1)  # [B, H, W, A]
        deltas = self.bbox_pred(hidden).permute(0, 2, 3, 1)  # [B, H, W, 4A]
        return (
            at_least_float32(logits.reshape(batch, -1)),  # [B, H·W·A]
            at_least_float32(deltas.reshape(batch, -1, 4)),  # [B, H·W·A, 4]
        )


class RegionProposalNetwork(nn.Module):
    """Turn a feature pyramid into proposals, and into losses in training.

    Args:
        width: F, channels of the pyramid.
        anchors: the anchors' sizes and shapes, level by level.
        rules: thresholds and counts.
        box_beta: beta of `smooth_l1` in the box loss.
    """

    def __init__(
        self, width: int, anchors: Anchors, rules: RPNRules, box_beta: float = 0.0
    ) -> None:
        super().__init__()
        self.anchors, self.rules, self.box_beta = anchors, rules, box_beta
        self.head = RPNHead(width, anchors.per_cell[0])

    def forward(self, pyramid: Sequence[Tensor], canvas: Size) -> RPNOutput:
        """Score and correct every anchor of a pyramid [B, F, H_l, W_l], finest level first.

        The canvas is the padded batch's (H, W) in pixels.
        """
        logits, deltas = zip(*(self.head(level) for level in pyramid), strict=True)
        sizes = [(level.shape[-2], level.shape[-1]) for level in pyramid]
        # Pixels per cell, rounded down if a level does not divide the canvas, as in torchvision.
        strides = [(canvas[0] // height, canvas[1] // width) for height, width in sizes]
        anchors = self.anchors.on(sizes, strides, pyramid[0].device)  # [n_l, 4] each
        anchors = [level.to(deltas[0].dtype) for level in anchors]
        return RPNOutput(list(logits), list(deltas), anchors)

    def proposals(self, output: RPNOutput, sizes: Sequence[Size]) -> list[tuple[Tensor, Tensor]]:
        """The best boxes of each image of size (H, W) (section 3.3; FPN, section 4.1).

        Returns:
            per image, [K, 4] boxes in pixels and their [K] logits, best first, without gradient.
        """
        rules, phase = self.rules, 0 if self.training else 1
        levels = [
            decode_best(*level, rules.before_nms[phase])  # [B, k, 4], [B, k]
            for level in zip(output.logits, output.deltas, output.anchors, strict=True)
        ]
        return [
            select_proposals(
                [boxes[image] for boxes, _ in levels],
                [logits[image] for _, logits in levels],
                size,
                rules.after_nms[phase],
                rules.nms_iou,
                rules.min_size,
            )
            for image, size in enumerate(sizes)
        ]

    def loss(
        self, output: RPNOutput, objects: Sequence[Tensor], generators: Sequence[Generator]
    ) -> tuple[Tensor, Tensor]:
        """Objectness and box loss of a batch, both divided by the number of sampled anchors.

        Args:
            output: the outputs for the batch.
            objects: per image, true boxes [G, 4] in pixels of the batch.
            generators: per image, on the CPU; they sample the anchors.

        Returns:
            the two losses, scalars.
        """
        anchors = torch.cat(output.anchors)  # [N, 4]
        assigned = [
            anchor_targets(anchors, boxes, self.rules, generator)  # [N], [N, 4]
            for boxes, generator in zip(objects, generators, strict=True)
        ]
        labels = torch.cat([labels for labels, _ in assigned])  # [B·N]
        targets = torch.cat([targets for _, targets in assigned])  # [B·N, 4]
        return rpn_losses(
            torch.cat(output.logits, dim=1).flatten(),  # [B·N]
            torch.cat(output.deltas, dim=1).flatten(0, 1),  # [B·N, 4]
            labels,
            targets,
            global_mean_count((labels >= 0).sum()),
            self.box_beta,
        )


def decode_best(
    logits: Tensor, deltas: Tensor, anchors: Tensor, count: int
) -> tuple[Tensor, Tensor]:
    """Decode only a level's best anchors, since the others never become proposals.

    Args:
        logits: [B, n] objectness.
        deltas: [B, n, 4] corrections.
        anchors: [n, 4] corners in pixels.
        count: how many to decode per image, at most.

    Returns:
        boxes [B, k, 4] and their logits [B, k], k = min(n, count), best first, without gradient.
    """
    top = logits.detach().topk(min(count, logits.shape[1]), dim=1)  # [B, k]
    chosen = deltas.detach().gather(1, top.indices[:, :, None].expand(-1, -1, 4))  # [B, k, 4]
    return decode_deltas(anchors[top.indices], chosen), top.values


def select_proposals(
    boxes: Sequence[Tensor],
    logits: Sequence[Tensor],
    size: Size,
    count: int = 1000,
    iou_threshold: float = 0.7,
    min_size: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Clip one image's boxes, drop slivers, suppress overlaps per level, keep the best of all.

    Args:
        boxes: per level, [n_l, 4] corners in pixels.
        logits: per level, [n_l] objectness.
        size: (H, W) of the image.
        count: largest number of boxes to keep.
        iou_threshold: largest IoU that two proposals of a level may have.
        min_size: length in pixels that both sides of a clipped box must exceed.

    Returns:
        [K, 4] boxes and [K] logits, best first.
    """
    candidates, scores = clip_boxes(torch.cat(list(boxes)), size), torch.cat(list(logits))
    levels = torch.cat([torch.full_like(s, n, dtype=torch.int64) for n, s in enumerate(logits)])
    solid = (candidates[:, 2:] - candidates[:, :2] > min_size).all(1)  # [sum of n_l]
    candidates, scores, levels = candidates[solid], scores[solid], levels[solid]
    kept = batched_nms(candidates, scores, levels, iou_threshold)[:count]  # [K]
    return candidates[kept], scores[kept]
