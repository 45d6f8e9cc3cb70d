"""Masks up close: pixels, runs, polygons, and how much two of them overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Polygon, Rectangle
from numpy.typing import NDArray

from seglib.ops.boxes import box_area, box_iou
from seglib.ops.masks import mask_iou
from seglib.ops.polygons import rasterize
from seglib.ops.rle import encode
from seglib.plotting.canvas import Bytes, Canvas, to_numpy
from seglib.plotting.grids import draw_grid
from seglib.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    VERMILION,
    Figure,
    bare,
    figure,
    rgb,
    styled,
)


@styled
def show_mask_pixels(values: Any, title: str = "", *, caption: str = "") -> Figure:
    """A small matrix [H, W] (mask, label map or grey values) with the number in every cell."""
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
    title: str = "Run-length encoding reads down the columns",
    caption: str | None = None,
) -> Figure:
    """A small mask [H, W] read down its columns, and the runs that reading it gives.

    The runs come from `seglib.ops.rle.encode`: lengths of zeros, ones, zeros, … in turn.
    """
    bits = to_numpy(mask).astype(bool)
    height, width = bits.shape
    counts = encode(torch.from_numpy(bits.copy())).counts
    if caption is None:
        caption = (
            f"counts = {list(counts)}: zeros first, then ones, in turn; they sum to {bits.size}."
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
    draw_grid(grid[0, 0], order, "Each pixel's place in the reading order", numbers=False)
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
    """The runs end to end; every second one is ones."""
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
    title: str = "From corners to pixels",
    caption: str = "",
) -> Figure:
    """Polygons over the pixels that COCO's rasterisation gives them.

    Args:
        polygons: each x0, y0, x1, y1, … in pixels; pixel (row, column) covers the square from
            (column, row) to (column + 1, row + 1).
        size: (H, W) of the small grid.
        title: over it.
        caption: under it.
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
    axes.set_title(f"{title}: {int(mask.sum())} pixels")
    return fig


@styled
def show_iou(
    a: Any, b: Any, *, names: tuple[str, str] = ("A", "B"), title: str = "", caption: str = ""
) -> Figure:
    """Two masks [H, W] or two boxes (x0, y0, x1, y1): each, their intersection, and the number."""
    fig, grid = figure(panel=(5.4, 2.9), caption=caption)
    draw_iou(grid[0, 0], a, b, names, title)
    return fig


def draw_iou(
    axes: Axes, a: Any, b: Any, names: tuple[str, str] = ("A", "B"), title: str = ""
) -> float:
    """Draw `show_iou` on given axes; returns the IoU."""
    first, second = (torch.as_tensor(to_numpy(x)) for x in (a, b))
    if first.ndim == 1:
        both, either, value = _draw_boxes(axes, first.double(), second.double())
    else:
        both, either, value = _draw_masks(axes, first.bool(), second.bool())
    axes.set_title(f"{title or 'IoU'} = {both:g} / {either:g} = {value:.2f}")
    handles = [
        Patch(facecolor="white", edgecolor=shade, hatch=hatch, label=label)
        for shade, hatch, label in (
            (BLUE, "////", f"only {names[0]}"),
            (ORANGE, "\\\\\\\\", f"only {names[1]}"),
            (GREEN, "xxxx", "both (intersection)"),
        )
    ]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return value


def _draw_boxes(axes: Axes, a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    value = float(box_iou(a[None], b[None])[0, 0])
    low, high = torch.maximum(a[:2], b[:2]), torch.minimum(a[2:], b[2:])
    common = torch.cat([low, torch.maximum(low, high)])
    both = float(box_area(common[None])[0])
    either = float(box_area(a[None])[0] + box_area(b[None])[0]) - both
    bare(axes)
    for box, shade, hatch in ((a, BLUE, "////"), (b, ORANGE, "\\\\\\\\")):
        _hatched(axes, box.tolist(), shade, hatch)
    if both > 0:
        axes.add_patch(_rectangle(common.tolist(), facecolor="white", linewidth=0, zorder=1.5))
        _hatched(axes, common.tolist(), GREEN, "xxxx")
    corners = torch.stack([a, b])
    low, high = corners[:, :2].amin(0), corners[:, 2:].amax(0)
    air = 0.06 * float((high - low).max())
    axes.set(xlim=(float(low[0]) - air, float(high[0]) + air))
    axes.set(ylim=(float(high[1]) + air, float(low[1]) - air), aspect="equal")
    return both, either, value


def _draw_masks(axes: Axes, a: torch.Tensor, b: torch.Tensor) -> tuple[float, float, float]:
    value = float(mask_iou(a[None], b[None])[0, 0])
    bare(axes)
    for part, shade, hatch in (
        (a & ~b, BLUE, "////"),
        (b & ~a, ORANGE, "\\\\\\\\"),
        (a & b, GREEN, "xxxx"),
    ):
        _hatched_mask(axes, to_numpy(part), shade, hatch)
    height, width = a.shape
    axes.add_patch(_rectangle([0, 0, width, height], fill=False, edgecolor=PALE))
    axes.set(xlim=(-0.1, width + 0.1), ylim=(height + 0.1, -0.1), aspect="equal")
    return float((a & b).sum()), float((a | b).sum()), value


def _hatched_mask(axes: Axes, part: NDArray[np.bool_], shade: str, hatch: str) -> None:
    """Runs of a mask as hatched strips, one patch a run."""
    steps = np.diff(np.pad(part.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    for row in range(part.shape[0]):
        starts, ends = np.flatnonzero(steps[row] == 1), np.flatnonzero(steps[row] == -1)
        for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
            corners = [start, row, end, row + 1]
            axes.add_patch(_rectangle(corners, facecolor=shade, alpha=0.18, linewidth=0))
            axes.add_patch(
                _rectangle(corners, fill=False, edgecolor=shade, hatch=hatch, linewidth=0)
            )


def _hatched(axes: Axes, corners: list[float], shade: str, hatch: str) -> None:
    axes.add_patch(_rectangle(corners, facecolor=shade, alpha=0.18, linewidth=0, zorder=2))
    axes.add_patch(
        _rectangle(corners, fill=False, edgecolor=shade, hatch=hatch, linewidth=1.8, zorder=2)
    )


def _rectangle(corners: Sequence[float], **style: Any) -> Rectangle:
    x0, y0, x1, y1 = corners
    return Rectangle((x0, y0), x1 - x0, y1 - y0, **style)


def outlined(image: Any, masks: Any, *, side: int = 512) -> Bytes:
    """Only the rims of masks [N, H, W] over an image: uint8 [H', W', 3]."""
    canvas = Canvas(image, side)
    for number, mask in enumerate(masks):
        canvas.outline(canvas.grow(mask), rgb(number))
    return canvas.pixels
