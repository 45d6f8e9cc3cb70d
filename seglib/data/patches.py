"""Square patches cut from images at random, to train a classifier of patches."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.structures import Target


def object_patches(
    samples: Sequence[tuple[Tensor, Target]], size: int, count: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Random patches and whether an annotated object covers their centre.

    Args:
        samples: images [3, H, W], each side longer than `size`, with their targets.
        size: side of a patch in pixels.
        count: P, the number of patches.
        seed: seed of their positions.

    Returns:
        patches float [P, 3, size, size], and labels int64 [P]: 1 on an object, 0 otherwise.
    """
    random = torch.Generator().manual_seed(seed)
    patches, labels = [], []
    for index in torch.randint(len(samples), (count,), generator=random).tolist():
        image, target = samples[index]
        top, left = (int(torch.rand((), generator=random) * (s - size)) for s in target.size)
        patches.append(image[:, top : top + size, left : left + size])
        labels.append(bool(target.masks[:, top + size // 2, left + size // 2].any()))
    return torch.stack(patches), torch.tensor(labels).long()
