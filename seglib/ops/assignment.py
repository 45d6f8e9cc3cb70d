"""Which box learns which object, and which boxes take part in a training step."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.errors import SeglibError

POSITIVE, NEGATIVE, IGNORED = 1, 0, -1


def assign_boxes(
    iou: Tensor, high: float, low: float, allow_low_quality: bool = False
) -> tuple[Tensor, Tensor]:
    """Give each box the object it overlaps most, and call it positive, negative or neither.

    Faster R-CNN (Ren et al. 2015, section 3.1.2) with 0.7 and 0.3 for anchors, where low-quality
    matches are allowed; 0.5 and 0.5 for the proposals of the box head (Fast R-CNN).

    Args:
        iou: [G, N] overlaps of every object with every box, 0…1.
        high: a box with this overlap or more is positive.
        low: a box with less is negative; in between it is ignored.
        allow_low_quality: also call positive every box that no other overlaps some object more
            than, so that no object goes without; it still learns the object that *it* overlaps
            most. (An object that overlaps nothing ties with all boxes at 0, and makes positive
            those that overlap nothing else: the reference's behaviour, kept.)

    Returns:
        int64 [N] labels, 1 positive, 0 negative, −1 ignored; and int64 [N] indices of the best
        object, the first among equals. Without objects every box is negative with index 0.

    Raises:
        SeglibError: iou is not [G, N], or low exceeds high.
    """
    if iou.ndim != 2 or low > high:
        raise SeglibError(
            "assign_boxes needs iou [G, N] and low ≤ high, got "
            f"{list(iou.shape)}, low {low} and high {high}"
        )
    objects, boxes = iou.shape
    labels = torch.full((boxes,), NEGATIVE, dtype=torch.int64, device=iou.device)
    if objects == 0:
        return labels, torch.zeros_like(labels)
    best, indices = iou.max(dim=0)  # [N]
    labels[best >= low] = IGNORED
    labels[best >= high] = POSITIVE
    if allow_low_quality and boxes:
        best_of_object = iou.max(dim=1, keepdim=True).values  # [G, 1]
        labels[(iou == best_of_object).any(dim=0)] = POSITIVE
    return labels, indices


def balanced_sample(
    labels: Tensor,
    count: int,
    positive_fraction: float,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Draw boxes for one training step, so that the many negatives do not drown the positives.

    Args:
        labels: int64 [N], above 0 positive, 0 negative, below 0 never drawn.
        count: boxes to draw; fewer only if there are too few negatives.
        positive_fraction: the largest share of positives, 0…1; negatives fill the rest.
        generator: makes the draw repeatable; on the CPU, whatever the labels' device.

    Returns:
        int64 indices of the drawn positives and of the drawn negatives, in random order.
    """
    positive = (labels > 0).nonzero().squeeze(1)
    negative = (labels == 0).nonzero().squeeze(1)
    positives = min(len(positive), int(count * positive_fraction))
    negatives = min(len(negative), count - positives)
    return _draw(positive, positives, generator), _draw(negative, negatives, generator)


def _draw(indices: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    return indices[torch.randperm(len(indices), generator=generator)[:count].to(indices.device)]
