"""Anchors: boxes of a few sizes and shapes at every cell, for the RPN to score and correct.

Faster R-CNN (Ren et al. 2015, section 3.1.1), one size a level as in FPN (Lin et al. 2017,
section 4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.windows import IntPair, pair


def cell_anchors(sizes: Sequence[float], ratios: Sequence[float], rounded: bool = False) -> Tensor:
    """The anchors of one cell, around (0, 0).

    Args:
        sizes: sides in pixels of the squares whose areas the anchors have.
        ratios: heights over widths.
        rounded: torchvision's convention: whole pixels (half to even), and all sizes of the first
            ratio before the second. Otherwise detectron2's: all ratios of the first size first.

    Returns:
        float32 [len(sizes)·len(ratios), 4] corners in pixels.
    """
    area = torch.tensor(sizes, dtype=torch.float32)[:, None] ** 2  # [S, 1]
    ratio = torch.tensor(ratios, dtype=torch.float32)  # [R]
    width = (area / ratio).sqrt()  # [S, R]
    half = torch.stack([width, width * ratio], dim=2) / 2  # [S, R, 2]
    if rounded:
        half = half.transpose(0, 1).round()
    half = half.reshape(-1, 2)
    return torch.cat([-half, half], dim=1)


def grid_anchors(
    cell: Tensor, size: tuple[int, int], stride: IntPair, offset: float = 0.0
) -> Tensor:
    """Repeat a cell's anchors at every cell of a feature map.

    Args:
        cell: [A, 4] corners around (0, 0).
        size: (H, W) of the feature map.
        stride: pixels from cell to cell, one number or (vertical, horizontal).
        offset: where the first anchor's centre lies, in strides: 0 in detectron2 and torchvision,
            0.5 in the middle of the cell.

    Returns:
        [H·W·A, 4] corners in pixels, not clipped: row by row, cell by cell, anchor by anchor, the
        order of a head's output permuted to [H, W, A].
    """
    down, across = (
        (torch.arange(count, device=cell.device, dtype=cell.dtype) + offset) * step
        for count, step in zip(size, pair(stride), strict=True)
    )
    y, x = torch.meshgrid(down, across, indexing="ij")
    center = torch.stack([x, y, x, y], dim=2)  # [H, W, 4]
    return (center[:, :, None] + cell).reshape(-1, 4)


@dataclass(frozen=True)
class Anchors:
    """The anchors of a feature pyramid.

    Attributes:
        sizes: sides in pixels, a tuple for each level, finest level first.
        ratios: heights over widths, the same at every level.
        offset: where the first anchor's centre lies, in strides.
        rounded: torchvision's convention instead of detectron2's; see `cell_anchors`.
    """

    sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    offset: float = 0.0
    rounded: bool = False

    @property
    def per_cell(self) -> list[int]:
        """Anchors a cell, level by level."""
        return [len(sizes) * len(self.ratios) for sizes in self.sizes]

    def on(
        self,
        feature_sizes: Sequence[tuple[int, int]],
        strides: Sequence[IntPair],
        device: torch.device | str | None = None,
    ) -> list[Tensor]:
        """All anchors over maps of these sizes.

        Args:
            feature_sizes: (H, W) of every level, finest first.
            strides: of every level, in pixels.
            device: where to put them.

        Returns:
            float32 [H·W·A, 4] corners in pixels, for every level.

        Raises:
            SeglibError: the numbers of levels differ.
        """
        if not len(self.sizes) == len(feature_sizes) == len(strides):
            raise SeglibError(
                f"anchors of {len(self.sizes)} levels do not fit {len(feature_sizes)} feature maps "
                f"with {len(strides)} strides: give each level its sizes"
            )
        levels = zip(self.sizes, feature_sizes, strides, strict=True)
        return [
            grid_anchors(
                cell_anchors(sizes, self.ratios, self.rounded).to(device), size, stride, self.offset
            )
            for sizes, size, stride in levels
        ]
