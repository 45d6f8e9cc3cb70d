"""Sampling of points in masks (Mask2Former, section 3.3; PointRend, Kirillov et al. 2020).

Most pixels of a mask are far from its outline and learned after a few steps. A small number of
points is therefore enough if most of them lie where the mask is uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Generator, Tensor


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Sample maps bilinearly; zero outside.

    Args:
        maps: float [N, H, W].
        points: [N, P, 2], x and y in 0…1 of the map's size.

    Returns:
        [N, P].
    """
    return at_shared_points(maps[:, None], points)[:, 0]


def at_shared_points(maps: Tensor, points: Tensor) -> Tensor:
    """Sample all maps [B, R, H, W] of an image at the same points [B, P, 2] -> [B, R, P]."""
    grid = 2 * points[:, :, None] - 1  # [B, P, 1, 2], -1…1
    return F.grid_sample(maps, grid.to(maps.dtype), align_corners=False)[..., 0]


def uncertain_points(logits: Tensor, candidates: Tensor, count: int) -> Tensor:
    """The candidates where the mask is most uncertain: those with logits nearest to 0.

    Args:
        logits: [N, H, W].
        candidates: [N, M, 2], x and y in 0…1.
        count: how many to choose.

    Returns:
        int64 [N, count] rows of `candidates`.
    """
    return (-sample_at(logits, candidates).abs()).topk(count, dim=1).indices


def random_points(
    counts: Sequence[int], layers: int, points: int, generators: Sequence[Generator]
) -> Tensor:
    """Uniform points for the masks of every image, from the image's own generator.

    Args:
        counts: number of masks in each image.
        layers: L.
        points: M, the number of points per mask.
        generators: generators on the CPU, one per image.

    Returns:
        [L, N, M, 2] in 0…1, image after image.
    """
    return torch.cat(
        [
            torch.rand(layers, count, points, 2, generator=generator)
            for count, generator in zip(counts, generators, strict=True)
        ],
        dim=1,
    )
