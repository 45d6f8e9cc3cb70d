"""CoordConv: a convolution with the coordinates of its cells as further input channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.convolution import conv2d
from seglib.primitives import primitive

Axes = Literal["x", "y", "xy"]
Sizes = Sequence[tuple[int, int]]


def coordinates(x: Tensor, axes: Axes = "xy", sizes: Sizes | None = None) -> Tensor:
    """Maps with the coordinates of every cell, from −1 at one border to 1 at the other.

    Args:
        x: [B, C, H, W]; only its shape, type and device are used.
        axes: "x" (from left to right), "y" (from top to bottom) or both, x first.
        sizes: (height, width) in cells of each image, if the rest of its map is padding; the
            coordinates then run from −1 to 1 over the image. None means over the whole map.

    Returns:
        [B, 1 or 2, H, W].
    """
    batch, _, height, width = x.shape
    spans = x.new_tensor([(height, width)] * batch if sizes is None else list(sizes))  # [B, 2]
    steps = 2 / (spans - 1).clamp(min=1)  # [B, 2], from one cell to the next
    columns, rows = (torch.arange(n, dtype=x.dtype, device=x.device) for n in (width, height))
    maps = {
        "x": (columns * steps[:, 1:] - 1)[:, None, :].expand(batch, height, width),
        "y": (rows * steps[:, :1] - 1)[:, :, None].expand(batch, height, width),
    }
    return torch.stack([maps[axis] for axis in axes], dim=1)  # [B, 1 or 2, H, W]


def with_coordinates(x: Tensor, axes: Axes = "xy", sizes: Sizes | None = None) -> Tensor:
    """[B, C, H, W] -> [B, C + 1 or 2, H, W], with `coordinates` as the last channels."""
    return torch.cat([x, coordinates(x, axes, sizes)], dim=1)


def _naive_coord_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int = 0,
    axes: Axes = "xy",
    sizes: Sizes | None = None,
) -> Tensor:
    """Write the coordinates one cell at a time, then convolve with the loops of `conv2d`."""
    _check(x, weight, axes)
    batch, _, height, width = x.shape
    channels = x.new_zeros(batch, len(axes), height, width)
    for image in range(batch):
        rows, columns = (height, width) if sizes is None else sizes[image]
        for row in range(height):
            for column in range(width):
                place = {
                    "x": 2 * column / max(columns - 1, 1) - 1,
                    "y": 2 * row / max(rows - 1, 1) - 1,
                }
                for channel, axis in enumerate(axes):
                    channels[image, channel, row, column] = place[axis]
    return conv2d.naive(torch.cat([x, channels], dim=1), weight, bias, 1, padding)


def _scratch_coord_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int = 0,
    axes: Axes = "xy",
    sizes: Sizes | None = None,
) -> Tensor:
    """Append the coordinates as channels, then convolve."""
    _check(x, weight, axes)
    return conv2d.scratch(with_coordinates(x, axes, sizes), weight, bias, 1, padding)


@primitive(naive=_naive_coord_conv, scratch=_scratch_coord_conv)
def coord_conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: int = 0,
    axes: Axes = "xy",
    sizes: Sizes | None = None,
) -> Tensor:
    """A convolution over features and the coordinates of their cells (Liu et al. 2018).

    An ordinary convolution has the same output wherever its window has the same content. With
    coordinates, it can tell two equal objects apart by their positions, which SOLO's masks need.

    Args:
        x: [B, C, H, W].
        weight: [O, C + 1 or 2, k, k]; the last input channels read the coordinates.
        bias: [O] or None.
        padding: number of zeros around features and coordinates.
        axes: which coordinates to add, see `coordinates`.
        sizes: the part of each map that the coordinates span, see `coordinates`.

    Returns:
        [B, O, H + 2·padding − k + 1, W + 2·padding − k + 1].

    Raises:
        SeglibError: the weight does not have the channels of features and coordinates.
    """
    _check(x, weight, axes)
    return conv2d(with_coordinates(x, axes, sizes), weight, bias, 1, padding)


def _check(x: Tensor, weight: Tensor, axes: str) -> None:
    if axes not in ("x", "y", "xy"):
        raise SeglibError(f"coord_conv: axes must be 'x', 'y' or 'xy', not {axes!r}")
    if weight.ndim != 4 or x.ndim != 4 or weight.shape[1] != x.shape[1] + len(axes):
        raise SeglibError(
            f"coord_conv: a weight {list(weight.shape)} = [O, C + {len(axes)}, k, k] does not fit "
            f"features {list(x.shape)} = [B, C, H, W] with {len(axes)} coordinates"
        )
