"""Turn cells' scores and masks into detections (section 3.4; Matrix NMS: SOLOv2, section 4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from seglib import ops
from seglib.models.solo.config import Selection
from seglib.ops.upsampling import interpolate
from seglib.structures import Size


class Candidates(NamedTuple):
    """Detections of one image, before or after Matrix NMS.

    Attributes:
        scores: [K], highest first.
        classes: int64 [K], 0…C−1.
        masks: [K, h, w] probabilities.
    """

    scores: Tensor
    classes: Tensor
    masks: Tensor

    def at(self, index: Tensor) -> Candidates:
        """The rows that an index int64 [n] or a mask bool [K] selects."""
        return Candidates(*(field[index] for field in self))


def candidates(
    scores: Tensor, masks_of: Callable[[Tensor], Tensor], strides: Tensor, rules: Selection
) -> Candidates:
    """The input of Matrix NMS: cells with high scores whose masks are large enough.

    A class score says nothing about the mask. It is multiplied by the mean probability inside the
    mask, so that blurred masks are ranked lower ("maskness", official code).

    Args:
        scores: [N, C] class probabilities of an image's cells after points NMS.
        masks_of: maps cell numbers int64 [n] to mask probabilities [n, h, w].
        strides: [N], the stride of each cell's level; a mask must have more cells than this.
        rules: thresholds and counts.
    """
    cells, classes = (scores > rules.score_threshold).nonzero().unbind(1)  # [n] each
    masks = masks_of(cells)  # [n, h, w]
    inside = masks > rules.mask_threshold  # [n, h, w]
    areas = ops.mask_area(inside)  # [n]
    found = Candidates(scores[cells, classes], classes, masks)
    large = areas > strides[cells]  # [n]
    found, inside, areas = found.at(large), inside[large], areas[large]
    maskness = (found.masks * inside).sum((1, 2)) / areas  # [n]
    found = found._replace(scores=found.scores * maskness)
    order = found.scores.argsort(descending=True, stable=True)[: rules.before_nms]
    return found.at(order)


def suppressed(found: Candidates, rules: Selection) -> Candidates:
    """Matrix NMS, the final threshold, and the limit on detections."""
    inside = found.masks > rules.mask_threshold  # [K, h, w]
    scores = ops.matrix_nms(
        _overlaps(inside.to(found.scores)), found.scores, found.classes, rules.decay, rules.sigma
    )
    found = found._replace(scores=scores).at(scores >= rules.final_threshold)
    return found.at(found.scores.argsort(descending=True, stable=True)[: rules.max_detections])


def _overlaps(masks: Tensor) -> Tensor:
    """IoUs [K, K] of masks [K, h, w] of zeros and ones; also for devices without float64."""
    pixels = masks.flatten(1)  # [K, h·w]
    shared, area = pixels @ pixels.T, pixels.sum(1)  # [K, K], [K]
    return shared / (area[:, None] + area - shared).clamp(min=1)


def full_size(masks: Tensor, canvas: Size, seen: Size, size: Size, threshold: float) -> Tensor:
    """Masks at the size of the original image.

    Args:
        masks: [K, h, w] probabilities over the canvas.
        canvas: (H, W) of the padded batch.
        seen: (H, W) of the resized image on the canvas.
        size: (H, W) of the original image.
        threshold: pixels above it belong to the object.

    Returns:
        bool [K, H, W].
    """
    if len(masks) == 0:
        return torch.zeros(0, *size, dtype=torch.bool, device=masks.device)
    resized = interpolate(masks[None], canvas)[..., : seen[0], : seen[1]]  # [1, K, *seen]
    return interpolate(resized, size)[0] > threshold
