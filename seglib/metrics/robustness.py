"""The recall of difficult objects: small, thin, crowded and occluded ones.

The groups are determined from the true masks and boxes alone, so that they exist in any data set in
COCO's format. A group has a recall but no precision, since a false positive belongs to none. For
altered images (blur, noise) see seglib/data/corruptions.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from seglib.metrics.matching import Bools
from seglib.ops.boxes import box_iou
from seglib.structures import AreaRanges, Target

THIN = 0.2  # thickness² / area below which an object is thin; a square has about 1, a disc 0.8
CROWDED = 0.3  # box IoU with a neighbour from which an object is crowded
OCCLUDED = 0.15  # share hidden by others from which an object is occluded


class GroupRecall(NamedTuple):
    """The number of objects in a group, and how many of them are found."""

    found: int
    objects: int

    @property
    def recall(self) -> float:
        """The share that is found, in 0…1; nan for an empty group."""
        return self.found / self.objects if self.objects else math.nan


def object_groups(target: Target, area_ranges: AreaRanges) -> dict[str, Tensor]:
    """The objects of an image in each group; an object can belong to several.

    Args:
        target: its `to_find` is used, as in `ErrorEvaluator`.
        area_ranges: the data set's, which define "small".

    Returns:
        "all", "small", "thin", "crowded", "occluded" → bool [G]. Crowds belong to none of them.
    """
    target = target.to_find
    single = ~target.iscrowd
    low, high = area_ranges["small"]
    area = target.masks.sum(dim=(1, 2)).clamp(min=1)  # [G]
    alone = target[single]
    crowded, occluded = torch.zeros_like(single), torch.zeros_like(single)
    crowded[single] = neighbour_iou(alone.boxes) >= CROWDED
    occluded[single] = hidden_share(alone.masks) >= OCCLUDED
    return {
        "all": single,
        "small": single & (target.area >= low) & (target.area < high),
        "thin": single & (thickness(target.masks) ** 2 < THIN * area),
        "crowded": crowded,
        "occluded": occluded,
    }


def thickness(masks: Tensor) -> Tensor:
    """The thickness of each mask: the side in px of the largest square inside it.

    Only squares centred on a pixel are considered, so the side is odd; it is 0 for an empty mask.

    Args:
        masks: bool [N, H, W].

    Returns:
        int64 [N].
    """
    # The distance transform ignores the border, so it is surrounded by background.
    padded = np.pad(masks.cpu().numpy(), ((0, 0), (1, 1), (1, 1)))  # [N, H + 2, W + 2]
    depth = [ndimage.distance_transform_cdt(mask, "chessboard").max() for mask in padded]
    sides = 2 * torch.tensor(depth, dtype=torch.int64) - 1  # [N]
    return sides.clamp(min=0)


def neighbour_iou(boxes: Tensor) -> Tensor:
    """The largest IoU of each box [N, 4] with another one: [N] in 0…1, 0 for a single box."""
    overlap = box_iou(boxes, boxes)  # [N, N]
    overlap.fill_diagonal_(0)
    return overlap.max(dim=1).values if len(boxes) else overlap.new_zeros(0)


def hidden_share(masks: Tensor) -> Tensor:
    """An estimate of how much of each object is hidden by others.

    A pixel of another object that lies between two pixels of this one, in the same row or column,
    is counted as hidden. Ends that are hidden are not noticed, so for convex objects this is a
    lower bound.

    Args:
        masks: bool [N, H, W], without crowds.

    Returns:
        [N]: hidden pixels / (hidden + visible pixels), in 0…1.
    """
    between = _between(masks, 1) | _between(masks, 2)  # [N, H, W]
    others = masks.sum(dim=0) - masks.long() > 0  # [N, H, W]
    hidden = (between & others & ~masks).sum(dim=(1, 2))  # [N]
    return hidden / (hidden + masks.sum(dim=(1, 2))).clamp(min=1)


def _between(masks: Tensor, dim: int) -> Tensor:
    """bool [N, H, W]: whether each position lies between two pixels of its mask along `dim`."""
    before = masks.cumsum(dim=dim) > 0  # [N, H, W]
    after = masks.flip(dim).cumsum(dim=dim).flip(dim) > 0  # [N, H, W]
    return before & after


def group_recall(
    found: Sequence[Bools], groups: Sequence[Mapping[str, Tensor]]
) -> dict[str, GroupRecall]:
    """The recall of each group over several images.

    Args:
        found: `ErrorEvaluator.found` of each image, bool [G].
        groups: the result of `object_groups` for each image.

    Returns:
        group → recall; empty without images.
    """
    names = groups[0] if groups else ()
    result = {}
    for name in names:
        members = [group[name].cpu().numpy() for group in groups]
        hits = sum(int((f & m).sum()) for f, m in zip(found, members, strict=True))
        result[name] = GroupRecall(hits, sum(int(m.sum()) for m in members))
    return result
