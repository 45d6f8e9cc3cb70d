"""A convolution step by step, its kernels and its feature maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.grids import draw_grid, mark_block, mark_cells, number_text
from seglib.plotting.panels import Figure, bare, check_some, figure, panel_grid, switch_off
from seglib.plotting.style import DIVERGING, GREY, SEQUENTIAL, styled


def tapped_cells(
    position: tuple[int, int], kernel: tuple[int, int], stride: int, padding: int, dilation: int
) -> list[tuple[int, int]]:
    """The input cells (row, column) read for the output cell `position`, row by row."""
    top, left = (stride * place - padding for place in position)
    return [
        (top + dilation * i, left + dilation * j)
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


@styled
def convolution_step(
    image: Any,
    kernel: Any,
    output: Any,
    position: tuple[int, int] = (0, 0),
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    title: str = "",
    caption: str | None = None,
) -> Figure:
    """One output cell: the input cells under the kernel, the kernel, and their weighted sum.

    Args:
        image: [H, W].
        kernel: [kh, kw].
        output: [oh, ow], the complete result; cells after `position` are left empty.
        position: (row, column) of the output cell being computed.
        stride: cells between two positions of the kernel.
        padding: zeros around the image.
        dilation: distance between the cells that the kernel reads.
        title: text above the figure.
        caption: text below the figure; by default the sum written out.
    """
    source, weights, result = (to_numpy(values) for values in (image, kernel, output))
    if not all(0 <= p < n for p, n in zip(position, result.shape, strict=True)):
        raise SeglibError(f"output cell {position} lies outside {list(result.shape)}")
    cells = tapped_cells(position, weights.shape, stride, padding, dilation)
    caption = _written_out(source, weights, cells, result[position]) if caption is None else caption
    spans = [n + 1.2 for n in (source.shape[1] + 2 * padding, weights.shape[1], result.shape[1])]
    height = max(source.shape[0] + 2 * padding, result.shape[0])
    unit = min(0.45, 9.0 / sum(spans))
    fig, grid = figure(
        3,
        panel=(unit * sum(spans) / 3 + 0.2, unit * height + 0.1),
        title=title,
        caption=caption,
        widths=spans,
    )
    pale = (source.min(), 2 * source.max() - source.min() + 1e-9)
    draw_grid(grid[0, 0], source, "Input", padding=padding, limits=pale)
    mark_cells(grid[0, 0], cells)
    draw_grid(grid[0, 1], weights, "Kernel", cmap=DIVERGING, limits=_centred(weights))
    done = np.full(result.shape, np.nan)
    last = position[0] * result.shape[1] + position[1] + 1
    done.flat[:last] = result.flat[:last]
    draw_grid(grid[0, 2], done, "Output", cmap=DIVERGING, limits=_centred(result))
    mark_block(grid[0, 2], position, (1, 1))
    grid[0, 2].text(
        -0.01,
        0.5,
        "→",  # no × and = between the grids: that would read as a matrix product
        transform=grid[0, 2].transAxes,
        ha="right",
        va="center",
        fontsize=16,
        color=GREY,
    )
    return fig


def _written_out(source: Any, weights: Any, cells: list[tuple[int, int]], total: float) -> str:
    """The sum in numbers; of more than four terms, those with weight zero are left out."""
    terms = []
    for (row, column), weight in zip(cells, weights.flat, strict=True):
        inside = 0 <= row < source.shape[0] and 0 <= column < source.shape[1]
        value = source[row, column] if inside else 0
        if weight != 0 or len(cells) <= 4:
            terms.append(f"{number_text(value)}·{_signed(weight)}")
    lines = [" + ".join(terms[i : i + 9]) for i in range(0, len(terms), 9)]
    return " +\n".join(lines or ["0"]) + f"  =  {number_text(float(total))}"


def _signed(weight: float) -> str:
    text = number_text(float(weight))
    return f"({text})" if weight < 0 else text


def _centred(weights: Any) -> tuple[float, float]:
    """Limits that place zero at the pale middle of a diverging colour map."""
    reach = float(np.abs(weights).max()) or 1.0
    # draw_grid uses only the first 62 % of the map; the map's middle (50 %) must mean zero.
    return -reach, reach * (0.62 / 0.5 - 1)


@styled
def show_kernels(
    kernels: Mapping[str, Any] | Any, *, columns: int = 8, title: str = "", caption: str = ""
) -> Figure:
    """Kernels side by side, with zero in the middle of the colour map, and values if they fit.

    Args:
        kernels: name → [kh, kw], or [N, kh, kw], or [N, 3, kh, kw], shown in colour.
        columns: kernels per row.
    """
    named = kernels if isinstance(kernels, Mapping) else {}
    stack = list(named.values()) if named else list(to_numpy(kernels))
    names = list(named) or [""] * len(stack)
    ncols, nrows = panel_grid(len(stack), min(columns, len(stack)))
    large = len(stack) <= 4
    fig, grid = figure(ncols, nrows, panel=2.1 if large else 1.05, title=title, caption=caption)
    for axes, name, kernel in zip(grid.flat, names, stack, strict=False):
        weights = to_numpy(kernel).astype(np.float64)
        reach = float(np.abs(weights).max()) or 1.0
        if weights.ndim == 3:
            bare(axes).imshow(weights.transpose(1, 2, 0) / (2 * reach) + 0.5)
        elif large and max(weights.shape) <= 7:
            draw_grid(axes, weights, cmap=DIVERGING, limits=_centred(weights))
        else:
            bare(axes).imshow(weights, cmap=DIVERGING, vmin=-reach, vmax=reach)
        axes.set_title(name)
    switch_off(grid, len(stack))
    return fig


@styled
def feature_maps(
    maps: Any,
    titles: Sequence[str] = (),
    *,
    columns: int = 6,
    limit: int = 18,
    signed: bool = False,
    title: str = "",
    caption: str = "",
) -> Figure:
    """The channels of a feature map, each scaled to its own range.

    Args:
        maps: [C, H, W] or a list of [H, W] of any sizes.
        titles: one per channel; by default their numbers.
        columns: channels per row.
        limit: maximum number of channels shown.
        signed: use a diverging colour map with zero in the middle.
    """
    channels = [to_numpy(channel) for channel in maps][:limit]
    ncols, nrows = panel_grid(len(channels), columns)
    check_some(channels[0].size, "cell")
    height, width = channels[0].shape
    size = 10 / max(ncols, 4)
    fig, grid = figure(
        ncols, nrows, panel=(size, size * min(1.3, height / width)), title=title, caption=caption
    )
    for i, (axes, channel) in enumerate(zip(grid.flat, channels, strict=False)):
        reach = float(np.abs(channel).max()) or 1.0
        limits: Any = {"vmin": -reach, "vmax": reach} if signed else {}
        shades = DIVERGING if signed else SEQUENTIAL
        bare(axes).imshow(channel, cmap=shades, interpolation="nearest", **limits)
        axes.set_title(titles[i] if i < len(titles) else f"channel {i}", fontweight="normal")
    switch_off(grid, len(channels))
    return fig
