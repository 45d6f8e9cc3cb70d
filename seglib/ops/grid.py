"""Where the cells of a feature map lie in the image, followed through convolutions and pools."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor

from seglib.errors import SeglibError


@dataclass(frozen=True)
class Grid:
    """The cells of a feature map as positions in the input image, along one axis.

    Cell i is centred on pixel `stride * i + origin` and depends on `field` pixels around it.
    The image itself is `Grid()`: one cell per pixel.

    Attributes:
        stride: pixels from one cell to the next.
        origin: position of cell 0 in pixels; halves mean "between two pixels".
        field: side of the receptive field in pixels.
    """

    stride: float = 1
    origin: float = 0
    field: float = 1

    def convolved(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Grid:
        """The grid after a convolution or a pooling with this geometry.

        The first window starts `padding` cells before cell 0, and the centre of a window lies half
        its extent after its start.
        """
        reach = dilation * (kernel - 1)
        return Grid(
            stride=self.stride * stride,
            origin=self.origin + self.stride * (reach / 2 - padding),
            field=self.field + self.stride * reach,
        )

    def transposed(self, kernel: int, stride: int, padding: int = 0) -> Grid:
        """The grid after a transposed convolution: the inverse of `convolved`."""
        finer = self.stride / stride
        return Grid(
            stride=finer,
            origin=self.origin - finer * ((kernel - 1) / 2 - padding),
            field=self.field + self.stride * (math.ceil(kernel / stride) - 1),
        )

    def offset_to(self, other: Grid) -> int:
        """The number of cells to cut off the front of this map so that it starts with `other`.

        It is negative if `other` starts earlier.

        Raises:
            SeglibError: the strides differ, or the cells do not coincide.
        """
        cells = (other.origin - self.origin) / self.stride
        if self.stride != other.stride or cells != round(cells):
            raise SeglibError(f"the cells of {self} and {other} do not coincide")
        return round(cells)


def crop(x: Tensor, offset: int, size: tuple[int, int]) -> Tensor:
    """[..., H, W] -> [..., *size], leaving out `offset` rows and columns at the top and left."""
    return x[..., offset : offset + size[0], offset : offset + size[1]]


def add_aligned(a: Tensor, a_grid: Grid, b: Tensor, b_grid: Grid) -> tuple[Tensor, Grid]:
    """Add two maps of equal stride where their cells coincide; crop the one that starts earlier.

    Args:
        a: [B, K, h, w].
        a_grid: where the cells of `a` lie.
        b: [B, K, h', w'].
        b_grid: where the cells of `b` lie.

    Returns:
        the sum, as large as the map that starts later, and its grid.

    Raises:
        SeglibError: the cells of the two maps do not coincide.
    """
    offset = b_grid.offset_to(a_grid)
    if offset >= 0:
        return a + crop(b, offset, (a.shape[-2], a.shape[-1])), a_grid
    return crop(a, -offset, (b.shape[-2], b.shape[-1])) + b, b_grid
