"""Which objects are hard: small, thin, crowded and occluded ones, and how many of each are found.

The groups are read off the true masks and boxes alone, so that any data set in COCO's format has
them. Precision has no meaning for a group, since a false positive belongs to none; recall has.
For altered images (blur, noise) see seglib/data/corruptions.py.
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

THIN = 0.2  # thickness² / area below this; a square has about 1, a disc 0.8
CROWDED = 0.3  # IoU of the boxes
OCCLUDED = 0.15  # share of the object that others seem to hide


class GroupRecall(NamedTuple):
    """How many objects of a group there are, and how many of them are found."""

    found: int
    objects: int

    @property
    def recall(self) -> float:
        """The share that is found, in 0…1; nan for an empty group."""
        return self.found / self.objects if self.objects else math.nan


def object_groups(target: Target, area_ranges: AreaRanges) -> dict[str, Tensor]:
    """Which objects of an image belong to which group; an object can belong to several.

    Args:
        target: compared by its `to_find`, as in `ErrorEvaluator`.
        area_ranges: of the data set; "small" is read from it.

    Returns:
        "all", "small", "thin", "crowded", "occluded" → bool [G]. A crowd is in none of them.
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
    """How thick each mask is where it is thickest: the side of the largest square inside, in px.

    Only squares with a pixel at their centre count, so the side is odd; 0 for an empty mask.

    Args:
        masks: bool [N, H, W].

    Returns:
        int64 [N].
    """
    padded = np.pad(masks.cpu().numpy(), ((0, 0), (1, 1), (1, 1)))  # outside is not the object
    depth = [ndimage.distance_transform_cdt(mask, "chessboard").max() for mask in padded]
    sides = 2 * torch.tensor(depth, dtype=torch.int64) - 1  # [N]
    return sides.clamp(min=0)


def neighbour_iou(boxes: Tensor) -> Tensor:
    """The largest IoU of each box [N, 4] with another one, [N] in 0…1; 0 for a box alone."""
    overlap = box_iou(boxes, boxes)  # [N, N]
    overlap.fill_diagonal_(0)
    return overlap.max(dim=1).values if len(boxes) else overlap.new_zeros(0)


def hidden_share(masks: Tensor) -> Tensor:
    """How much of each object others seem to hide.

    A pixel of another object that lies between two pixels of this one, in its row or in its
    column, is counted as hidden: something stands in front. What is cut off at an end is not
    seen, so this is a lower bound for convex objects.

    Args:
        masks: bool [N, H, W], without crowds.

    Returns:
        [N]: hidden pixels / (hidden and visible ones), in 0…1.
    """
    between = _between(masks, 1) | _between(masks, 2)  # [N, H, W]
    others = masks.sum(dim=0) - masks.long() > 0  # [N, H, W]
    hidden = (between & others & ~masks).sum(dim=(1, 2))  # [N]
    return hidden / (hidden + masks.sum(dim=(1, 2))).clamp(min=1)


def _between(masks: Tensor, dim: int) -> Tensor:
    """Whether a mask has a pixel at or before, and one at or after each place along `dim`."""
    before = masks.cumsum(dim=dim) > 0
    after = masks.flip(dim).cumsum(dim=dim).flip(dim) > 0
    return before & after


def group_recall(
    found: Sequence[Bools], groups: Sequence[Mapping[str, Tensor]]
) -> dict[str, GroupRecall]:
    """The recall of each group over several images.

    Args:
        found: for each image bool [G], from `ErrorEvaluator.found`.
        groups: for each image, from `object_groups`.
    """
    names = groups[0] if groups else ()
    result = {}
    for name in names:
        members = [group[name].cpu().numpy() for group in groups]
        hits = sum(int((f & m).sum()) for f, m in zip(found, members, strict=True))
        result[name] = GroupRecall(hits, sum(int(m.sum()) for m in members))
    return result
