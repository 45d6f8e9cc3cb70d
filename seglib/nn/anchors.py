"""Anchors: boxes of a few sizes and shapes at every cell, which the RPN scores and corrects.

Faster R-CNN (Ren et al. 2015, section 3.1.1); one size per level in FPN (Lin et al. 2017, section
4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.ops.windows import IntPair, pair


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float], rounded: bool = False) -> Tensor:
    """The anchors of one cell, around (0, 0).

    Args:
        sizes: square roots of the anchors' areas, in pixels.
        ratios: ratios of height to width.
        rounded: follow torchvision's convention: whole pixels (half to even), and all sizes of the
            first ratio come first. Otherwise detectron2's: all ratios of the first size come first.

    Returns:
        float32 [A, 4] corners in pixels, A = len(sizes) · len(ratios).
    """
    area = torch.tensor(sizes, dtype=torch.float32)[:, None] ** 2  # [S, 1]
    ratio = torch.tensor(ratios, dtype=torch.float32)  # [R]
    width = (area / ratio).sqrt()  # [S, R]
    half = torch.stack([width, width * ratio], dim=2) / 2  # [S, R, 2]
    if rounded:
        half = half.transpose(0, 1).round()  # [R, S, 2]
    half = half.reshape(-1, 2)  # [A, 2]
    return torch.cat([-half, half], dim=1)  # [A, 4]


def grid_anchors(
    cell: Tensor, size: tuple[int, int], stride: IntPair, offset: float = 0.0
) -> Tensor:
    """Repeat a cell's anchors at every cell of a feature map.

    Args:
        cell: [A, 4] corners around (0, 0).
        size: (H, W) of the feature map.
        stride: pixels from one cell to the next, one number or (vertical, horizontal).
        offset: position of the first anchor's centre, in strides: 0 in detectron2 and torchvision,
            0.5 for the centre of the cell.

    Returns:
        [H·W·A, 4] corners in pixels, not clipped: row by row, cell by cell, anchor by anchor, as in
        a head's output permuted to [H, W, A].
    """
    down, across = (
        (torch.arange(count, device=cell.device, dtype=cell.dtype) + offset) * step
        for count, step in zip(size, pair(stride), strict=True)
    )  # [H], [W]
    y, x = torch.meshgrid(down, across, indexing="ij")  # [H, W] each
    center = torch.stack([x, y, x, y], dim=2)  # [H, W, 4]
    return (center[:, :, None] + cell).reshape(-1, 4)  # [H, W, A, 4] -> [H·W·A, 4]


@dataclass(frozen=True)
class Anchors:
    """The anchors of a feature pyramid.

    Attributes:
        sizes: square roots of the areas in pixels, one tuple per level, finest level first.
        ratios: ratios of height to width, the same at every level.
        offset: see `grid_anchors`.
        rounded: see `cell_anchors`.
    """

    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    offset: float = 0.0
    rounded: bool = False

    @property
    def per_cell(self) -> list[int]:
        """The number of anchors per cell, level by level."""
        return [len(sizes) * len(self.ratios) for sizes in self.sizes]

    def on(
        self,
        feature_sizes: Sequence[tuple[int, int]],
        strides: Sequence[IntPair],
        device: torch.device | str | None = None,
    ) -> list[Tensor]:
        """All anchors of feature maps of the given sizes (H, W) and strides in pixels.

        Both are listed from the finest level to the coarsest.

        Returns:
            per level, float32 [H·W·A, 4] corners in pixels, on the device.
        """
        levels = zip(self.sizes, feature_sizes, strides, strict=True)
        return [
            grid_anchors(
                cell_anchors(sizes, self.ratios, self.rounded).to(device), size, stride, self.offset
            )
            for sizes, size, stride in levels
        ]
