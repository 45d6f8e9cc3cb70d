"""What tests of DETR and MaskFormer share: the order of classes, and objects as tensors."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.models.detr.objects import ObjectBatch


def ours(logits: Tensor) -> Tensor:
    """The authors' logits, whose last class is "no object", in our order, where it is class 0."""
    return logits.roll(1, dims=-1)


def golden_objects(given: dict[str, Tensor], images: int) -> ObjectBatch:
    """The true objects of a golden case: labels from 1, filled up to one number per image."""
    labels = [given[f"gt_labels_{image}"] + 1 for image in range(images)]
    counts = [len(rows) for rows in labels]
    most = max(counts)
    padded = torch.zeros(images, most).long()
    boxes = torch.zeros(images, most, 4)
    size = given["gt_masks_0"].shape[-2:] if "gt_masks_0" in given else (1, 1)
    masks = torch.zeros(images, most, *size).bool()
    for image, count in enumerate(counts):
        padded[image, :count] = labels[image]
        if f"gt_boxes_{image}" in given:
            boxes[image, :count] = given[f"gt_boxes_{image}"]
        if f"gt_masks_{image}" in given:
            masks[image, :count] = given[f"gt_masks_{image}"].bool()
    return ObjectBatch(padded, boxes, masks, counts)
