"""Choose images by their content, so that the text of a lesson is true for any data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.data.coco import CocoFolder
from seglib.ops.boxes import box_iou
from seglib.structures import Target


def find_image(
    dataset: CocoFolder, score: Callable[[Target], float], limit: int | None = None
) -> int:
    """The index of the image whose target has the highest score; ties go to the first.

    Args:
        dataset: searched from its first image; open it with `cache=True` to search it repeatedly.
        score: how well a target shows what is wanted.
        limit: search only the first `limit` images.
    """
    count = min(len(dataset), limit or len(dataset))
    scores = [float(score(dataset[index][1])) for index in range(count)]
    return max(range(count), key=scores.__getitem__)


def touching_pairs(target: Target) -> Tensor:
    """Pairs of objects of the same class with adjacent or shared pixels, crowds excluded.

    Args:
        target: N objects.

    Returns:
        int64 [P, 2] indices i < j into the target. Diagonally adjacent pixels count.
    """
    masks = target.masks.float()[:, None]  # [N, 1, H, W]
    if len(target) == 0:
        return torch.zeros(0, 2, dtype=torch.int64)
    dilated = F.max_pool2d(masks, kernel_size=3, stride=1, padding=1)  # [N, 1, H, W]
    touching = dilated.flatten(1) @ masks.flatten(1).T > 0  # [N, N]
    same_class = target.labels[:, None] == target.labels  # [N, N]
    no_crowd = ~target.iscrowd[:, None] & ~target.iscrowd  # [N, N]
    return (touching & same_class & no_crowd).triu(1).nonzero()


def easy_to_follow(target: Target, small: float) -> float:
    """A score that is high for a few large objects, several of one class, that barely overlap.

    Args:
        small: area in pixels below which an object counts as small.
    """
    found = target[~target.iscrowd]
    large = int((found.area >= 2 * small).sum())
    overlaps = box_iou(found.boxes, found.boxes).fill_diagonal_(0)
    alike = int(found.labels.bincount().max()) if len(found) else 0
    crowding = float(overlaps.sum()) / max(len(found), 1)
    return min(large, 4) - 0.5 * (len(found) - large) - 4 * crowding + 0.5 * alike
