"""Choosing images by what they contain, so that a lesson's pictures fit any data set."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.data.coco import CocoFolder
from seglib.structures import Target


def find_image(
    dataset: CocoFolder, score: Callable[[Target], float], limit: int | None = None
) -> int:
    """The index of the image whose target scores highest, the first of equals.

    Args:
        dataset: read from its first image on; open it with `cache=True` to search it often.
        score: how well a target shows what is wanted.
        limit: look at so many images at most.
    """
    count = min(len(dataset), limit or len(dataset))
    scores = [float(score(dataset[index][1])) for index in range(count)]
    return max(range(count), key=scores.__getitem__)


def touching_pairs(target: Target) -> Tensor:
    """Pairs of objects of one class with neighbouring or common pixels; crowds are left out.

    Args:
        target: N objects.

    Returns:
        int64 [P, 2] rows of the target, i < j. Diagonal neighbours count.
    """
    masks = target.masks.float()[:, None]  # [N, 1, H, W]
    if len(target) == 0:
        return torch.zeros(0, 2, dtype=torch.int64)
    grown = F.max_pool2d(masks, kernel_size=3, stride=1, padding=1)
    meet = grown.flatten(1) @ masks.flatten(1).T > 0  # [N, N]
    same = target.labels[:, None] == target.labels
    single = ~target.iscrowd[:, None] & ~target.iscrowd
    return (meet & same & single).triu(1).nonzero()
