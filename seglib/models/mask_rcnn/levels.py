"""Which level of a feature pyramid reads a box: large boxes from coarse maps (Lin et al. 2017)."""

from __future__ import annotations

import torch
from torch import Tensor

from seglib.ops.boxes import box_area, check_finite


def assign_levels(
    boxes: Tensor,
    min_level: int = 2,
    max_level: int = 5,
    canonical_size: float = 224,
    canonical_level: int = 4,
) -> Tensor:
    """Level ⌊k₀ + log₂(√area / s₀)⌋ of each box, within the pyramid (FPN, equation 1).

    Args:
        boxes: [N, 4] corners in pixels.
        min_level: the finest level, of stride 2^min_level.
        max_level: the coarsest.
        canonical_size: s₀, side in pixels of the square that goes to the canonical level; 224 in
            the paper, ImageNet's, and in proportion for smaller images.
        canonical_level: k₀.

    Returns:
        int64 [N] in 0…max_level − min_level, an index into the list of maps, finest first.

    Raises:
        SeglibError: a box with NaN or infinity.
    """
    check_finite("assign_levels", "boxes", boxes)
    side = box_area(boxes).sqrt()
    # The epsilon keeps an empty box finite; clamping sends it to the finest level.
    level = canonical_level + torch.log2(side / canonical_size + 1e-8)
    return level.floor().clamp(min_level, max_level).long() - min_level
