"""Masks up close: pixels, runs and polygons."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from seglib.ops.polygons import rasterize
from seglib.ops.rle import encode
from seglib.plotting.canvas import Bytes, Canvas, to_numpy
from seglib.plotting.grids import Cell, draw_grid, mark_cells
from seglib.plotting.panels import Figure, bare, figure
from seglib.plotting.style import GREEN, GREY, INK, ORANGE, VERMILION, rgb, styled


@styled
def show_mask_pixels(values: Any, title: str = "", *, caption: str = "") -> Figure:
    """A small matrix [H, W] (mask, label map or grey values) with the value in each cell."""
    matrix = to_numpy(values).astype(np.float64)
    height, width = matrix.shape
    unit = min(0.42, 9.5 / (width + 1))
    fig, grid = figure(panel=(unit * (width + 1), unit * (height + 0.6)), caption=caption)
    shades = (0.0, max(1.0, 1.6 * float(np.nanmax(matrix))))
    draw_grid(grid[0, 0], matrix, title, cmap="Blues", limits=shades)
    return fig


@styled
def show_rle(
    mask: Any,
    *,
    title: str = "Run-length encoding reads column by column",
    caption: str | None = None,
) -> Figure:
    """A small mask [H, W] read column by column, and its runs as `ops.rle.encode` counts them."""
    bits = to_numpy(mask).astype(bool)
    height, width = bits.shape
    counts = encode(torch.from_numpy(bits.copy())).counts
    if caption is None:
        caption = (
            f"counts = {list(counts)}: zeros, then ones, in alternation; their sum is {bits.size}."
        )
    unit = min(0.42, 6.0 / width)
    rows = [unit * (height + 1), 0.75]
    fig, grid = figure(
        1,
        2,
        panel=(max(6.5, unit * width), sum(rows) / 2),
        title=title,
        caption=caption,
        height_ratios=rows,
    )
    order = np.arange(bits.size).reshape(width, height).T
    draw_grid(grid[0, 0], order, "Order in which the pixels are read", numbers=False)
    for (row, column), place in np.ndenumerate(order):
        one = bits[row, column]
        grid[0, 0].add_patch(
            Rectangle(
                (column - 0.5, row - 0.5),
                1,
                1,
                facecolor=ORANGE if one else "white",
                edgecolor=GREY,
                linewidth=0.7,
                zorder=1.6,
            )
        )
        grid[0, 0].text(column, row, str(place), ha="center", va="center", fontsize=8, zorder=2)
    _draw_runs(grid[1, 0], list(counts))
    return fig


def _draw_runs(axes: Axes, counts: list[int]) -> None:
    """The runs end to end; every second run consists of ones."""
    bare(axes)
    start = 0
    for number, count in enumerate(counts):
        shade = ORANGE if number % 2 else "white"
        axes.add_patch(
            Rectangle((start, 0), count, 1, facecolor=shade, edgecolor=GREY, linewidth=0.8)
        )
        if count:
            axes.text(start + count / 2, 0.5, str(count), ha="center", va="center", fontsize=9)
        start += count
    axes.set(xlim=(-0.1, start + 0.1), ylim=(-0.05, 1.05))
    axes.set_title("The runs: white for zeros, orange for ones")


@styled
def show_polygon(
    polygons: Sequence[Sequence[float]],
    size: tuple[int, int],
    *,
    framed: Iterable[Cell] = (),
    title: str = "From corners to pixels",
    caption: str = "",
) -> Figure:
    """Polygons over the pixels that COCO's rasterisation assigns to them.

    Args:
        polygons: each x0, y0, x1, y1, … in pixels.
        size: (H, W) of the grid.
        framed: cells (row, column) to frame.
    """
    mask = to_numpy(rasterize(polygons, size))
    unit = min(0.42, 9.0 / size[1])
    fig, grid = figure(panel=(unit * (size[1] + 1), unit * (size[0] + 0.8)), caption=caption)
    axes = draw_grid(grid[0, 0], mask, numbers=False, cmap="Blues", limits=(0, 1.6))
    for shade, polygon in zip((VERMILION, GREEN, ORANGE), polygons, strict=False):
        corners = np.asarray(polygon, dtype=np.float64).reshape(-1, 2) - 0.5
        axes.add_patch(
            Polygon(corners, closed=True, fill=False, edgecolor=shade, linewidth=2, zorder=3)
        )
        axes.plot(*corners.T, "o", color=shade, markersize=5, zorder=4)
    mark_cells(axes, framed, INK, alpha=0)
    axes.set_xticks(range(size[1]))
    axes.set_yticks(range(size[0]))
    axes.tick_params(length=0)
    axes.set_title(f"{title}: {int(mask.sum())} pixels")
    return fig


def outlined(image: Any, masks: Any, *, side: int = 512) -> Bytes:
    """The outlines of masks [N, H, W] over an image: uint8 [H', W', 3]."""
    canvas = Canvas(image, side)
    for number, mask in enumerate(masks):
        canvas.outline(canvas.resize_mask(mask), rgb(number))
    return canvas.pixels
