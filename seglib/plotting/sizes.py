"""The positions that a kernel can take, and the resulting size of the output."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes

from seglib.ops.windows import output_length
from seglib.plotting.convolution import tapped_cells
from seglib.plotting.grids import draw_grid, frame_cells, mark_block, mark_cells
from seglib.plotting.panels import Figure, figure, panel_grid, switch_off
from seglib.plotting.style import BLUE, ORANGE, VERMILION, styled


@styled
def show_output_sizes(
    size: int,
    settings: Sequence[Mapping[str, int]],
    *,
    title: str = "What the kernel reads, and how many positions it has",
    caption: str = "",
) -> Figure:
    """For each setting, the padded input, the first two positions of the kernel, the output size.

    Args:
        size: the input is size x size.
        settings: dicts with `kernel` and any of `stride`, `padding`, `dilation`.
    """
    ncols, nrows = panel_grid(len(settings), None if len(settings) <= 4 else 3)
    fig, grid = figure(ncols, nrows, panel=2.6, title=title, caption=caption)
    for axes, setting in zip(grid.flat, settings, strict=False):
        _draw_setting(axes, size, **setting)
    switch_off(grid, len(settings))
    return fig


def _draw_setting(
    axes: Axes, size: int, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1
) -> None:
    result = output_length(size, kernel, stride, padding, dilation)
    draw_grid(axes, np.zeros((size, size)), numbers=False, padding=padding)
    first = tapped_cells((0, 0), (kernel, kernel), stride, padding, dilation)
    mark_cells(axes, first, VERMILION, 0.35)
    reach = dilation * (kernel - 1) + 1
    if result > 1:
        mark_block(axes, (-padding, stride - padding), (reach, reach), BLUE, linestyle="--")
    places = [stride * i - padding + (reach - 1) / 2 for i in range(result)]
    xs, ys = np.meshgrid(places, places)
    axes.plot(xs.ravel(), ys.ravel(), "o", color=ORANGE, markersize=4.5, markeredgecolor="white")
    frame_cells(axes, (size, size), padding=padding)
    words = [f"kernel {kernel}", *_unusual(stride=stride, padding=padding, dilation=dilation)]
    axes.set_title(", ".join(words) + f"\n{size}×{size} → {result}×{result}", fontsize=9.5)


def _unusual(**setting: int) -> list[str]:
    """The settings that differ from stride 1, padding 0, dilation 1, in words."""
    return [f"{k} {v}" for k, v in setting.items() if v != (0 if k == "padding" else 1)]
