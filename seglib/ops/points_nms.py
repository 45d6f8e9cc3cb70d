"""Points NMS: keep the best one of neighbouring cells in a score map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive


def _naive_points_nms(scores: Tensor) -> Tensor:
    """One cell at a time, compared with its neighbours."""
    _check(scores)
    kept = torch.zeros_like(scores)
    height, width = scores.shape[-2:]
    for row in range(height):
        for column in range(width):
            window = scores[..., max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1]
            score = scores[..., row, column]
            kept[..., row, column] = score * (score == window.amax((-2, -1)))
    return kept


def _scratch_points_nms(scores: Tensor) -> Tensor:
    """Four shifted copies: the map itself, and each cell's upper, left and upper-left neighbour."""
    _check(scores)
    padded = F.pad(scores, (1, 0, 1, 0), value=-torch.inf)  # [B, C, H + 1, W + 1]
    above, beside = padded[..., :-1, 1:], padded[..., 1:, :-1]  # [B, C, H, W] each
    highest = torch.stack([scores, above, beside, padded[..., :-1, :-1]]).amax(0)
    return scores * (scores == highest)


@primitive(naive=_naive_points_nms, scratch=_scratch_points_nms)
def points_nms(scores: Tensor) -> Tensor:
    """Set every score to 0 that is below its upper, left or upper-left neighbour (SOLO's code).

    The cells around an object's centre all predict it. Points NMS removes most of these duplicates
    before any mask is computed, with a maximum over 2 x 2 cells.

    Args:
        scores: float [B, C, H, W]; each class is treated separately.

    Returns:
        [B, C, H, W]; equal neighbours are kept.

    Raises:
        SeglibError: scores are not [B, C, H, W].
    """
    _check(scores)
    highest = F.max_pool2d(scores, kernel_size=2, stride=1, padding=1)  # [B, C, H + 1, W + 1]
    return scores * (scores == highest[..., :-1, :-1])


def _check(scores: Tensor) -> None:
    if scores.ndim != 4:
        raise SeglibError(f"points_nms needs scores [B, C, H, W], got {list(scores.shape)}")
