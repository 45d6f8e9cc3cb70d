"""Convolutions as matrices of columns, and transposed convolutions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from seglib.ops.transposed_convolution import conv_transpose2d
from seglib.ops.upsampling import bilinear_kernel
from seglib.ops.windows import im2col
from seglib.plotting.canvas import to_numpy
from seglib.plotting.grids import draw_grid, mark_block, mark_cells
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import ORANGE, PURPLE, VERMILION, styled


@styled
def show_im2col(
    size: int = 4,
    kernel: int = 3,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    column: int = 1,
    title: str = "im2col: every window becomes a column",
    caption: str | None = None,
) -> Figure:
    """A size x size image with numbered pixels, and the matrix with a column for each window.

    `kernel`, `stride`, `padding` and `dilation` are those of `ops.im2col`; padding is shown as
    empty cells. `column` is the window that is marked in both panels.
    """
    numbers = torch.arange(1.0, size * size + 1).reshape(1, 1, size, size)
    columns = to_numpy(im2col(numbers, kernel, stride, padding, dilation)[0])
    columns = np.where(columns == 0, np.nan, columns)
    if caption is None:
        caption = (
            f"Marked: window {column} and its column. The kernel as a row, times this "
            f"{columns.shape[0]}×{columns.shape[1]} matrix, gives all outputs."
        )
    spans = [size + 2 * padding + 1.5, columns.shape[1] + 1.0]
    unit = min(0.4, 9.0 / sum(spans), 4.2 / columns.shape[0])
    height = max(size + 2 * padding, columns.shape[0]) + 0.6
    fig, grid = figure(
        2,
        panel=(max(3.6, unit * sum(spans) / 2), unit * height),
        title=title,
        caption=caption,
        widths=spans,
    )
    image = to_numpy(numbers[0, 0])
    shades = (1.0, 1.6 * size * size)
    draw_grid(
        grid[0, 0],
        image,
        "Image with numbered pixels",
        padding=padding,
        limits=shades,
        cmap="Blues",
    )
    draw_grid(grid[0, 1], columns, "Columns, one per window", limits=shades, cmap="Blues")
    taps = columns[:, column]
    inside = [divmod(int(tap) - 1, size) for tap in taps if not np.isnan(tap)]
    mark_cells(grid[0, 0], inside)
    mark_block(grid[0, 1], (0, column), (len(taps), 1))
    return fig


@styled
def show_transposed_convolution(
    values: Any,
    kernel: Any,
    *,
    stride: int = 2,
    padding: int = 0,
    stamps: Sequence[tuple[int, int]] = ((0, 0), (0, 1)),
    names: Sequence[str] = (),
    title: str = "A transposed convolution stamps its kernel",
    caption: str = "",
) -> Figure:
    """Each input cell adds the kernel, times its value, to the output; overlaps are summed.

    Args:
        values: [H, W] input.
        kernel: [kh, kw].
        stride: cells between neighbouring stamps of the kernel.
        padding: cells cropped from each border of the result.
        stamps: the input cells (row, column) whose stamps are framed.
        names: titles of the three panels; "Input", "Kernel" and "Output" by default.
    """
    source = torch.as_tensor(to_numpy(values)).double()
    weights = torch.as_tensor(to_numpy(kernel)).double()
    result = conv_transpose2d(source[None, None], weights[None, None], None, stride, padding)[0, 0]
    spans = [n + 1.4 for n in (source.shape[1], weights.shape[1], result.shape[1])]
    unit = min(0.45, 9.2 / sum(spans))
    fig, grid = figure(
        3,
        panel=(unit * sum(spans) / 3 + 0.2, unit * (result.shape[0] + 0.6)),
        title=title,
        caption=caption,
        widths=spans,
    )
    pale = 2 * float(result.abs().max())
    left, middle, right = names or ("Input", "Kernel", f"Output, stride {stride}")
    draw_grid(grid[0, 0], source, left, cmap="Blues", limits=(0, pale))
    draw_grid(grid[0, 1], weights, middle, cmap="Greys", limits=(0, 3 * float(weights.abs().max())))
    draw_grid(grid[0, 2], result, right, cmap="Blues", limits=(0, pale))
    for shade, (row, column) in zip((VERMILION, ORANGE, PURPLE), stamps, strict=False):
        mark_block(grid[0, 0], (row, column), (1, 1), shade)
        corner = (row * stride - padding, column * stride - padding)
        mark_block(grid[0, 2], corner, (weights.shape[0], weights.shape[1]), shade)
    return fig


@styled
def show_bilinear_kernel(
    size: int = 4,
    *,
    title: str = "Bilinear interpolation as a kernel",
    caption: str = "Each weight is the tent at its row times the tent at its column.",
) -> Figure:
    """The size x size kernel with which a transposed convolution interpolates, and its profile.

    The profile in one dimension is a tent: 1 in the middle of the kernel, 0 one stride away.
    """
    weights = to_numpy(bilinear_kernel(size))
    fig, grid = figure(2, panel=(3.4, 3.0), title=title, caption=caption)
    draw_grid(
        grid[0, 0],
        weights,
        f"{size}×{size}: tent × tent",
        cmap="Oranges",
        limits=(0, weights.max()),
        fontsize=min(10.6, 66 / size),
    )
    _draw_tent(grid[0, 1], np.sqrt(np.diag(weights)))
    return fig


def _draw_tent(axes: Axes, taps: NDArray[Any]) -> None:
    """The taps [N] as bars with their values, and the tent through their tops."""
    size = len(taps)
    middle, reach = (size - 1) / 2, (size + 1) // 2
    axes.bar(range(size), taps, color=ORANGE, width=0.9)
    corners = ([middle - reach, middle, middle + reach], [0, 1, 0])
    axes.plot(*corners, color=VERMILION, linewidth=1.4)
    axes.plot(range(size), taps, "o", color=VERMILION, markersize=4)
    for place, weight in enumerate(taps):
        side, away = ("right", -0.15) if place < middle else ("left", 0.15)
        axes.text(place + away, weight + 0.005, f"{weight:.3g}", ha=side, va="bottom", fontsize=8)
    axes.set(title="In one dimension: a tent", xlabel="column", ylabel="weight")
    axes.set(xlim=(middle - reach - 0.9, middle + reach + 0.9), ylim=(0, 1.05))
    axes.set_xticks(range(size))
