"""Assign boxes to objects for training, and sample the boxes of a training step."""

from __future__ import annotations

import torch
from torch import Generator, Tensor

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def assign_boxes(
    iou: Tensor, high: float, low: float, allow_low_quality: bool = False
) -> tuple[Tensor, Tensor]:
    """Assign each box to the object that it overlaps most, and label the box.

    Anchors use 0.7 and 0.3 and allow low-quality matches (Faster R-CNN, Ren et al. 2015, section
    3.1.2); proposals use 0.5 and 0.5 (Fast R-CNN, Girshick 2015, section 2.3).

    Args:
        iou: [G, N] IoU of every object with every box, in 0…1.
        high: a box whose best IoU is at least this is positive.
        low: a box whose best IoU is below this is negative; in between, it is ignored. At most
            `high`.
        allow_low_quality: each object's best boxes are also positive, ties included, so that every
            object has one; they still learn the object that *they* overlap most. (The best boxes of
            an object without any overlap are all boxes, at an IoU of 0: those that overlap no
            object at all become positive, as in both reference implementations.)

    Returns:
        labels int64 [N]: 1 positive, 0 negative, −1 ignored; and indices int64 [N] of the best
        object, the first among equals. Without objects, every box is negative with index 0.
    """
    objects, boxes = iou.shape
    labels = torch.full((boxes,), NEGATIVE, dtype=torch.int64, device=iou.device)  # [N]
    if objects == 0:
        return labels, torch.zeros_like(labels)
    best, indices = iou.max(dim=0)  # [N] each
    labels[best >= low] = IGNORED
    labels[best >= high] = POSITIVE
    if allow_low_quality and boxes:
        best_of_object = iou.max(dim=1, keepdim=True).values  # [G, 1]
        labels[(iou == best_of_object).any(dim=0)] = POSITIVE
    return labels, indices


def balanced_sample(
    labels: Tensor, count: int, positive_fraction: float, generator: Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Sample boxes for a training step, so that the many negatives do not outweigh the positives.

    Args:
        labels: int64 [N], above 0 positive, 0 negative, below 0 never sampled.
        count: number of boxes to sample; there are fewer only if negatives run out.
        positive_fraction: largest share of positives, 0…1; negatives fill the rest.
        generator: random numbers, on the CPU for labels on any device.

    Returns:
        int64 indices of the sampled positives and of the sampled negatives, in random order.
    """
    positive = (labels > 0).nonzero().squeeze(1)  # [P]
    negative = (labels == 0).nonzero().squeeze(1)  # [M]
    positives = min(len(positive), int(count * positive_fraction))
    negatives = min(len(negative), count - positives)
    return _sample(positive, positives, generator), _sample(negative, negatives, generator)


def _sample(indices: Tensor, count: int, generator: Generator | None) -> Tensor:
    order = torch.randperm(len(indices), generator=generator)[:count]  # on the CPU
    return indices[order.to(indices.device)]
