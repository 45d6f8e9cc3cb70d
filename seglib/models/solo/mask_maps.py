"""The outputs of the mask branches, and how the mask of a grid cell is computed from them.

    solo        a map per cell              mask(k) = σ(M_k)
    decoupled   a map per row and column    mask(i, j) = σ(Y_i) · σ(X_j)
    v2          a kernel per cell           mask(i, j) = σ(G_ij ∗ F), over one map F of features

All have one method, `masks_of`, which returns the masks of given cells: the positive ones in
training, those with high class scores in prediction.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate
from seglib.structures import Size


@dataclass(eq=False)
class Cells:
    """P cells of the grids of a batch.

    Attributes:
        image: int64 [P], 0…B−1.
        level: int64 [P], index of the grid.
        row: int64 [P], 0…S−1.
        column: int64 [P], 0…S−1.
    """

    image: Tensor
    level: Tensor
    row: Tensor
    column: Tensor

    def __len__(self) -> int:
        return len(self.image)

    def __getitem__(self, index: Tensor) -> Cells:
        return Cells(*(getattr(self, field.name)[index] for field in fields(self)))

    def numbers(self, grids: Sequence[int]) -> Tensor:
        """int64 [P]: each cell's number 0…N−1 among those of its image, level by level."""
        sides = self.level.new_tensor(grids)  # [L]
        first = sides.square().cumsum(0) - sides.square()  # [L]
        return first[self.level] + self.row * sides[self.level] + self.column

    @classmethod
    def from_numbers(cls, numbers: Tensor, grids: Sequence[int], image: int) -> Cells:
        """The cells of one image with these numbers, int64 [P]."""
        sides = numbers.new_tensor(grids)  # [L]
        ends = sides.square().cumsum(0)  # [L]
        level = torch.bucketize(numbers, ends, right=True)  # [P]
        inside, side = numbers - (ends - sides.square())[level], sides[level]  # [P] each
        rows = inside.div(side, rounding_mode="floor")
        return cls(torch.full_like(numbers, image), level, rows, inside % side)


class MaskMaps(ABC):
    """The raw outputs of a mask branch for a batch."""

    @abstractmethod
    def masks_of(self, cells: Cells, size: Size | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The masks of cells, in groups of equal size.

        Args:
            cells: P cells.
            size: (h, w) to which all probabilities are resized; None keeps each level's size.

        Yields:
            int64 [n] positions in `cells`, and [n, h, w] mask probabilities.
        """

    def probabilities(self, cells: Cells, size: Size) -> Tensor:
        """[P, h, w]: the masks of cells at one size, in the order of the cells."""
        groups = list(self.masks_of(cells, size))
        order = torch.cat([index for index, _ in groups]).argsort()
        return torch.cat([masks for _, masks in groups])[order]


@dataclass(eq=False)
class LocationMaps(MaskMaps):
    """SOLO's masks: channel i · S + j belongs to the cell in row i and column j (equation 2).

    Attributes:
        logits: [B, S_l², h_l, w_l] per level.
        grids: S_l of each level.
    """

    logits: list[Tensor]
    grids: tuple[int, ...]

    def masks_of(self, cells: Cells, size: Size | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """See `MaskMaps`; each mask is one channel."""
        for level, (logits, side) in enumerate(zip(self.logits, self.grids, strict=True)):
            index = (cells.level == level).nonzero().squeeze(1)  # [n]
            chosen = cells[index]
            masks = logits[
                chosen.image, chosen.row * side + chosen.column
            ].sigmoid()  # [n, h_l, w_l]
            yield index, _enlarged(masks, size)


@dataclass(eq=False)
class DecoupledMaps(MaskMaps):
    """Decoupled SOLO's masks: the product of a map for the row and one for the column (section 4).

    Attributes:
        columns: logits [B, S_l, h_l, w_l] per level, X.
        rows: logits [B, S_l, h_l, w_l] per level, Y.
    """

    columns: list[Tensor]
    rows: list[Tensor]

    def masks_of(self, cells: Cells, size: Size | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """See `MaskMaps`; the factors are enlarged, not their product (official code)."""
        for level, (columns, rows) in enumerate(zip(self.columns, self.rows, strict=True)):
            index = (cells.level == level).nonzero().squeeze(1)  # [n]
            chosen = cells[index]
            x = columns[chosen.image, chosen.column].sigmoid()  # [n, h_l, w_l]
            y = rows[chosen.image, chosen.row].sigmoid()  # [n, h_l, w_l]
            yield index, _enlarged(x, size) * _enlarged(y, size)


@dataclass(eq=False)
class DynamicMaps(MaskMaps):
    """SOLOv2's masks: each cell's own 1x1 convolution of features that all share (section 3.2).

    Attributes:
        kernels: [B, E, S_l, S_l] per level.
        features: [B, E, h, w].
        grids: S_l of each level.
    """

    kernels: list[Tensor]
    features: Tensor
    grids: tuple[int, ...]

    def masks_of(self, cells: Cells, size: Size | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """See `MaskMaps`; one matrix product per image, for the cells of all levels."""
        order = cells.image.argsort(stable=True)  # [P]
        sorted_cells = cells[order]
        kernels = torch.cat([level.flatten(2) for level in self.kernels], 2)  # [B, E, N]
        chosen = kernels[sorted_cells.image, :, sorted_cells.numbers(self.grids)]  # [P, E]
        counts = sorted_cells.image.bincount(minlength=len(self.features)).tolist()
        features = self.features.flatten(2)  # [B, E, h·w]
        parts = zip(chosen.split(counts), features, strict=True)
        logits = torch.cat([kernel @ feature for kernel, feature in parts])  # [P, h·w]
        masks = (
            at_least_float32(logits).unflatten(1, self.features.shape[-2:]).sigmoid()
        )  # [P, h, w]
        yield order, _enlarged(masks, size)


def _enlarged(masks: Tensor, size: Size | None) -> Tensor:
    """[n, h, w] probabilities at another size, bilinear."""
    if size is None or masks.shape[-2:] == size or len(masks) == 0:
        return masks if size is None or len(masks) else masks.new_zeros(0, *size)
    return interpolate(masks[None], size)[0]
