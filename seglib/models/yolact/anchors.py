"""YOLACT's anchors, which its code calls priors (section 4.1 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def anchor_shapes(sizes: Sequence[float], ratios: Sequence[float], square: bool) -> Tensor:
    """Widths and heights of one cell's anchors.

    Args:
        sizes: S square roots of the anchors' areas, in pixels.
        ratios: R ratios of width to height.
        square: the official rule: the height equals the width, see conventions.py.

    Returns:
        float64 [A, 2] in pixels, A = S · R, beginning with all ratios of the first size.
    """
    side = torch.tensor(sizes, dtype=torch.float64)[:, None]  # [S, 1]
    root = torch.tensor(ratios, dtype=torch.float64).sqrt()  # [R]
    width = side * root  # [S, R]
    height = width if square else side / root
    return torch.stack([width, height], dim=2).flatten(0, 1)  # [A, 2]


def grid_of_anchors(shapes: Tensor, cells: tuple[int, int], canvas: tuple[int, int]) -> Tensor:
    """Repeat a cell's anchors over a feature map, centred on each of its cells.

    Args:
        shapes: [A, 2] widths and heights in pixels.
        cells: (h, w) of the feature map.
        canvas: (H, W) in pixels of the image that the map covers.

    Returns:
        [h·w·A, 4] (centre x, centre y, width, height): row by row, cell by cell, anchor by anchor.
    """
    y, x = (
        (torch.arange(count).to(shapes) + 0.5) * (length / count)
        for count, length in zip(cells, canvas, strict=True)
    )  # [h], [w]
    centers = torch.stack([x.expand(len(y), -1), y[:, None].expand(-1, len(x))], dim=2)  # [h, w, 2]
    grid = (*cells, len(shapes), 2)
    pairs = [centers[:, :, None].expand(grid), shapes.expand(grid)]  # [h, w, A, 2] each
    return torch.cat(pairs, dim=3).flatten(0, 2)  # [h·w·A, 4]
