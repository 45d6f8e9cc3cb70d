"""YOLACT's targets: anchors assigned to objects, and masks at the prototypes' size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seglib.models.targets import SizedTarget, sized_targets
from seglib.models.yolact.config import YOLACTConfig
from seglib.ops.assignment import IGNORED, NEGATIVE, POSITIVE
from seglib.ops.boxes import box_area, box_iou, cxcywh_to_xyxy, scale_boxes
from seglib.ops.upsampling import interpolate
from seglib.structures import ImageBatch, Size, Target

TAKEN = -1.0  # overlap of pairs that no longer count


@dataclass(eq=False)
class BatchTruth:
    """The objects of a batch, padded to the same number G of objects (at least 1) per image.

    Attributes:
        boxes: [B, G, 4] corners in pixels of the batch, zeros where there is no object.
        labels: int64 [B, G], 1…C, 0 where there is no object.
        crowds: [B, M, 4] boxes of crowds, zeros where there is none.
        objects: the same objects image by image, with their masks.
    """

    boxes: Tensor
    labels: Tensor
    crowds: Tensor
    objects: list[SizedTarget]


def batch_truth(
    images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch, classes: int
) -> BatchTruth:
    """The targets of a batch, checked (see `sized_targets`) and padded."""
    objects = sized_targets(images, targets, batch, classes)
    crowds = [
        scale_boxes(target.boxes[target.iscrowd].to(batch.tensor), target.size, size)
        for target, size in zip(targets, batch.sizes, strict=True)
    ]
    return BatchTruth(
        _padded([image_objects.boxes for image_objects in objects]),
        _padded([image_objects.labels for image_objects in objects]),
        _padded(crowds),
        objects,
    )


def _padded(rows: list[Tensor]) -> Tensor:
    """[g, …] per image -> [B, G, …] with zeros below, G the largest number and at least 1."""
    spare = rows[0].new_zeros(1, *rows[0].shape[1:])  # [1, …]
    return pad_sequence([*rows, spare], batch_first=True)[:-1]


def anchor_targets(
    anchors: Tensor, truth: BatchTruth, config: YOLACTConfig
) -> tuple[Tensor, Tensor]:
    """Assign each anchor of each image to an object, to the background, or to neither.

    Args:
        anchors: [N, 4] (centre x, centre y, width, height) in pixels of the batch.
        truth: the objects.
        config: contains the thresholds.

    Returns:
        labels int64 [B, N]: 1…C, 0 background, −1 no loss; index int64 [B, N]: the row of each
        anchor's object, meaningful only where the label is above 0.
    """
    corners = cxcywh_to_xyxy(anchors)  # [N, 4]
    images, objects = truth.labels.shape
    iou = box_iou(truth.boxes.flatten(0, 1), corners).unflatten(0, (images, objects))  # [B, G, N]
    iou = iou.masked_fill((truth.labels == 0)[:, :, None], TAKEN)
    states, index = assign_anchors(iou, config.positive_iou, config.negative_iou)  # [B, N] each
    in_crowd = overlap_with_crowds(corners, truth.crowds) > config.crowd_overlap  # [B, N]
    states = states.masked_fill(in_crowd & (states == NEGATIVE), IGNORED)
    return truth.labels.gather(1, index).where(states == POSITIVE, states), index


def assign_anchors(iou: Tensor, positive_iou: float, negative_iou: float) -> tuple[Tensor, Tensor]:
    """Assign each anchor to the object that it overlaps most, and at least one anchor to each.

    After thresholding as in `ops.assign_boxes`, every object claims one anchor: the pair with the
    largest IoU comes first, and its object and anchor are then taken (the official `match`), so
    that two objects never claim the same anchor.

    Args:
        iou: [B, G, N] of objects with anchors; −1 in the rows of objects that do not exist.
        positive_iou: an anchor whose best IoU is at least this is positive.
        negative_iou: an anchor whose best IoU is below this is negative; in between, ignored.

    Returns:
        states int64 [B, N]: 1 positive, 0 negative, −1 ignored; index int64 [B, N]: each anchor's
        object.
    """
    best, index = iou.max(dim=1)  # [B, N] each
    states = torch.full_like(index, IGNORED)
    states[best < negative_iou] = NEGATIVE
    states[best >= positive_iou] = POSITIVE
    rows, free = torch.arange(len(iou), device=iou.device), iou.clone()
    for _ in range(iou.shape[1]):
        overlap, pair = free.flatten(1).max(dim=1)  # [B] each
        chosen, anchor = pair // iou.shape[2], pair % iou.shape[2]  # [B] each
        exists = overlap > TAKEN  # images with fewer objects have no pair left
        index[rows, anchor] = chosen.where(exists, index[rows, anchor])
        states[rows, anchor] = states[rows, anchor].where(~exists, POSITIVE)
        free[rows, chosen] = TAKEN
        free[rows, :, anchor] = TAKEN
    return states, index


def overlap_with_crowds(corners: Tensor, crowds: Tensor) -> Tensor:
    """The largest share of each anchor [N, 4] that lies in one of its image's crowds [B, M, 4].

    Returns:
        [B, N] in 0…1.
    """
    first = torch.maximum(corners[:, :2], crowds[:, :, None, :2])  # [B, M, N, 2]
    last = torch.minimum(corners[:, 2:], crowds[:, :, None, 2:])  # [B, M, N, 2]
    shared = (last - first).clamp(min=0).prod(dim=3)  # [B, M, N]
    return shared.amax(dim=1) / box_area(corners)  # [B, N]


def masks_in_cells(masks: Tensor, canvas: Size, cells: Size, binary: bool = True) -> Tensor:
    """Resize masks to a map of fewer cells.

    Args:
        masks: bool [G, H, W] of an image at the top left of the canvas.
        canvas: (H, W) of the padded batch in pixels.
        cells: (h, w) of the map, which covers the canvas.
        binary: interpolated values above one half become 1, others 0; if False, they are kept.

    Returns:
        float [G, h, w] in 0…1.
    """
    below, right = canvas[0] - masks.shape[1], canvas[1] - masks.shape[2]
    padded = F.pad(masks.float(), (0, right, 0, below))  # [G, H, W]
    shares = interpolate(padded[:, None], cells)[:, 0]  # [G, h, w]
    return (shares > 0.5).to(shares) if binary else shares
