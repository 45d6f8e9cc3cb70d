"""The objects of a batch, padded to one number per image so that losses need no loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seglib.models.targets import SizedTarget, sized_targets
from seglib.ops.boxes import xyxy_to_cxcywh
from seglib.structures import ImageBatch, Size, Target


@dataclass(eq=False)
class ObjectBatch:
    """The objects of B images, padded to G, the largest number in any of them and at least 1.

    Attributes:
        labels: int64 [B, G], 1…C; 0 where there is no object.
        boxes: [B, G, 4] centre, width and height in 0…1 of the image's size.
        masks: bool [B, G, H, W] on the batch's canvas.
        counts: the number of objects in each image.
    """

    labels: Tensor
    boxes: Tensor
    masks: Tensor
    counts: list[int]


def object_batch(
    images: Sequence[Tensor], targets: Sequence[Target], batch: ImageBatch, classes: int
) -> ObjectBatch:
    """The targets' single objects, without crowds and boxes without area.

    Args:
        images: as given to the model, before resizing.
        targets: one for each image.
        batch: the same images resized and padded; the result is on its device.
        classes: C, the highest label allowed.

    Raises:
        SeglibError: `check_targets` refuses the targets.
    """
    # Gathered where the targets are; only whole tensors move to the model's device.
    device = targets[0].boxes.device if targets else batch.tensor.device
    like = ImageBatch(torch.empty(0, dtype=batch.tensor.dtype, device=device), batch.sizes)
    sized = sized_targets(images, targets, like, classes)
    return stack_objects(sized, batch)


def stack_objects(sized: Sequence[SizedTarget], batch: ImageBatch) -> ObjectBatch:
    """Pad the objects of all images to one number, on the batch's device."""
    counts = [len(target.labels) for target in sized]
    padded_count, (height, width) = max(1, *counts), batch.canvas
    boxes = pad_sequence([_relative(t, s) for t, s in zip(sized, batch.sizes, strict=True)], True)
    labels = pad_sequence([target.labels for target in sized], True)
    masks = sized[0].masks.new_zeros(len(sized), padded_count, height, width)  # [B, G, H, W]
    for row, target, (h, w) in zip(masks, sized, batch.sizes, strict=True):
        row[: len(target.masks), :h, :w] = target.masks
    spare = padded_count - labels.shape[1]  # 1 if no image has an object
    labels = F.pad(labels, (0, spare))  # [B, G]
    boxes = F.pad(boxes, (0, 0, 0, spare))  # [B, G, 4]
    device = batch.tensor.device
    return ObjectBatch(labels.to(device), boxes.to(device), masks.to(device), counts)


def _relative(target: SizedTarget, size: Size) -> Tensor:
    """[G, 4] centre, width and height of the boxes in 0…1 of an image's (H, W)."""
    height, width = size
    scale = target.boxes.new_tensor([width, height, width, height])
    return xyxy_to_cxcywh(target.boxes / scale)  # [G, 4]
