"""How a box is read from a feature map: rounded (RoIPool) or interpolated (RoIAlign)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.detection import HALO, picture_under
from seglib.plotting.panels import Figure, figure, legend_below, rectangle
from seglib.plotting.style import BLUE, INK, ORANGE, VERMILION, styled


def pooled_bins(span: tuple[float, float], stride: float, bins: int) -> tuple[list[int], list[int]]:
    """The cells of RoIPool's bins along one axis; neighbouring bins may share a cell.

    Args:
        span: start and end of the box in pixels.
        stride: pixels per cell.
        bins: number of bins along the axis.

    Returns:
        the first cell of each bin, and the cell after the last of each bin.
    """
    first, last = (math.floor(edge / stride + 0.5) for edge in span)
    step = max(last - first + 1, 1) / bins
    return (
        [math.floor(b * step) + first for b in range(bins)],
        [math.ceil((b + 1) * step) + first for b in range(bins)],
    )


@styled
def show_roi_reading(
    image: Any,
    box: Any,
    stride: int,
    bins: int = 2,
    samples: int = 2,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """A box over the cells of a feature map, with the cells and points that RoI layers read.

    Args:
        image: float [3, H, W] in 0…1.
        box: (x0, y0, x1, y1) in pixels.
        stride: pixels per cell.
        bins: along each side of the box.
        samples: RoIAlign's samples along each side of a bin.

    Raises:
        SeglibError: a box that is not four finite numbers; stride, bins or samples below 1.
    """
    corners = to_numpy(box).astype(float).tolist()
    if np.shape(corners) != (4,) or not np.isfinite(corners).all():
        raise SeglibError(f"a box must be four finite numbers x0, y0, x1, y1, got {corners}")
    if min(stride, bins, samples) < 1:
        raise SeglibError(
            f"stride={stride}, bins={bins} and samples={samples} must all be 1 or more"
        )
    fig, grid = figure(2, 1, panel=(4.6, 4.2), title=title, caption=caption)
    rounded = _draw_pooled(grid[0, 0], image, corners, stride, bins)
    picture_under(grid[0, 1], image, "RoIAlign: nothing is rounded")
    _bin_lines(grid[0, 1], corners, bins)
    for x in _sample_places(corners[0], corners[2], bins, samples):
        ys = _sample_places(corners[1], corners[3], bins, samples)
        grid[0, 1].plot([x] * len(ys), ys, "o", color=VERMILION, markersize=4, path_effects=HALO)
    for axes in grid[0]:
        _cell_lines(axes, stride)
        _frame(axes, corners, BLUE)
        _zoom(axes, [corners, rounded], stride)
    names = {"box": BLUE, "what RoIPool reads": ORANGE, "sample point": VERMILION}
    legend_below(fig, names, dashed=("what RoIPool reads",), dotted=("sample point",))
    return fig


def _draw_pooled(
    axes: Axes, image: Any, corners: list[float], stride: int, bins: int
) -> list[float]:
    """Draw the rounded box with its bins; returns it in pixels."""
    picture_under(axes, image, "RoIPool: rounded to whole cells")
    x_first, x_end = pooled_bins((corners[0], corners[2]), stride, bins)
    y_first, y_end = pooled_bins((corners[1], corners[3]), stride, bins)
    for row in range(bins):
        for column in range(bins):
            edges = [x_first[column], y_first[row], x_end[column], y_end[row]]
            read = [edge * stride for edge in edges]
            axes.add_patch(rectangle(read, fill=False, edgecolor=ORANGE, linewidth=1.4, zorder=3))
    whole = [stride * float(e) for e in (x_first[0], y_first[0], x_end[-1], y_end[-1])]
    _frame(axes, whole, ORANGE, linestyle="--")
    return whole


def _sample_places(start: float, end: float, bins: int, samples: int) -> list[float]:
    step = (end - start) / (bins * samples)
    return [start + (i + 0.5) * step for i in range(bins * samples)]


def _bin_lines(axes: Axes, corners: list[float], bins: int) -> None:
    x0, y0, x1, y1 = corners
    for i in range(1, bins):
        axes.plot([x0 + (x1 - x0) * i / bins] * 2, [y0, y1], color=BLUE, linewidth=1.2)
        axes.plot([x0, x1], [y0 + (y1 - y0) * i / bins] * 2, color=BLUE, linewidth=1.2)


def _cell_lines(axes: Axes, stride: int) -> None:
    """Lines between the cells, within the image; the limits of the axes are unchanged."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    style: Any = {"color": INK, "linewidth": 0.6, "alpha": 0.55}
    axes.vlines(np.arange(left, right + 1, stride), top, bottom, **style)
    axes.hlines(np.arange(top, bottom + 1, stride), left, right, **style)


def _frame(axes: Axes, corners: Sequence[float], shade: str, **style: Any) -> None:
    style |= {"linewidth": 2.2, "path_effects": HALO, "zorder": 4}
    axes.add_patch(rectangle(corners, fill=False, edgecolor=shade, **style))


def _zoom(axes: Axes, frames: Sequence[Sequence[float]], margin: float) -> None:
    """Show only the frames, and a margin around them."""
    corners = np.array(frames)
    axes.set(
        xlim=(corners[:, 0].min() - margin, corners[:, 2].max() + margin),
        ylim=(corners[:, 3].max() + margin, corners[:, 1].min() - margin),
    )


@styled
def reading_curve(
    positions: Any,
    read: Mapping[str, Any],
    *,
    title: str = "",
    xlabel: str = "position of the box (pixels)",
    ylabel: str = "position of the values read (pixels)",
    caption: str = "",
) -> Figure:
    """What is read while a box moves, one line per method, and the line y = x.

    Args:
        positions: [N] positions of the box.
        read: name of the method → [N] values read.
        title: text above the axes.
        xlabel: what the positions are.
        ylabel: what the values are.

    Raises:
        SeglibError: a line whose number of values differs from the positions.
    """
    x = to_numpy(positions)
    fig, grid = figure(panel=(6.2, 3.4), caption=caption)
    axes = grid[0, 0]
    axes.plot(x, x, color=INK, linestyle=":", zorder=3, label="exact position")  # on top
    for number, (name, values) in enumerate(read.items()):
        y = to_numpy(torch.as_tensor(values))
        if y.shape != x.shape:
            raise SeglibError(f"{name!r} has {list(y.shape)} values for {list(x.shape)} positions")
        axes.plot(x, y, color=(VERMILION, BLUE, ORANGE)[number % 3], label=name)
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title)
    axes.legend()
    return fig
