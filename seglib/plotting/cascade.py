"""How good boxes are: by stage, before and after a correction, by the IoU that is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.ops.boxes import box_iou
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.detection import draw_boxes, picture_under
from seglib.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    PALETTE,
    SKY,
    VERMILION,
    Figure,
    check_some,
    figure,
    panel_grid,
    styled,
    switch_off,
)

# Lowest IoU of each band, and its colour: from worse to better.
BANDS: dict[str, tuple[float, str]] = {
    "IoU below 0.5": (0.0, GREY),
    "0.5 to 0.7": (0.5, ORANGE),
    "0.7 to 0.85": (0.7, SKY),
    "0.85 or more": (0.85, BLUE),
}


def best_overlaps(boxes: Any, truth: Any) -> torch.Tensor:
    """[N] the largest IoU of each box with any true box; 0 where there is none."""
    found, objects = torch.as_tensor(boxes), torch.as_tensor(truth)
    if len(objects) == 0:
        return torch.zeros(len(found))
    return box_iou(objects, found).amax(0)


@styled
def show_box_quality(
    image: Any,
    steps: Mapping[str, Any],
    truth: Any,
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.3,
) -> Figure:
    """Boxes at each step, coloured by how well they fit the object they overlap most.

    Args:
        image: float [3, H, W] in 0…1.
        steps: panel title → boxes [N, 4] in pixels; the mean IoU is added to the title.
        truth: [G, 4] true boxes, drawn thin beneath.
        columns: panels in a row.
        title: over all.
        caption: under all.
        panel: width of one panel in inches.
    """
    ncols, nrows = panel_grid(len(steps), columns)
    height, width = as_rgb(image).shape[:2]
    size = (panel, panel * min(1.15, height / width))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    for axes, (name, boxes) in zip(grid.flat, steps.items(), strict=False):
        overlaps = best_overlaps(boxes, truth)
        word = "mean IoU" if len(overlaps) > 1 else "IoU"
        mean = f"{word} {overlaps.mean():.2f}" if len(overlaps) else "no box"
        draw_by_quality(picture_under(axes, image, f"{name}\n{mean}"), boxes, truth)
    switch_off(grid, len(steps))
    shades = {"truth": GREEN} | {name: shade for name, (_, shade) in BANDS.items()}
    handles = [Line2D([], [], color=shade, label=name) for name, shade in shades.items()]
    fig.legend(handles=handles, loc="outside lower center", ncols=5)
    return fig


def draw_by_quality(axes: Axes, boxes: Any, truth: Any) -> None:
    """True boxes thin in green; the others in the colour of their band, the best on top."""
    draw_boxes(axes, truth, GREEN, linewidth=1.2)
    corners, overlaps = to_numpy(boxes), best_overlaps(boxes, truth).numpy()
    overlaps = overlaps.round(4)  # a box made to overlap by 0.5 belongs to that band
    lows = [low for low, _ in BANDS.values()] + [np.inf]
    for number, (low, shade) in enumerate(BANDS.values()):
        band = corners[(overlaps >= low) & (overlaps < lows[number + 1])]
        draw_boxes(axes, band, shade, linewidth=1.8)


@styled
def show_iou_histograms(
    groups: Mapping[str, Any],
    thresholds: Mapping[str, float] | None = None,
    *,
    title: str = "",
    caption: str = "",
    panel: tuple[float, float] = (2.5, 2.1),
) -> Figure:
    """One histogram of IoUs a group, side by side; what reaches the group's threshold stands out.

    Args:
        groups: panel title → IoUs [N] in 0…1.
        thresholds: panel title → what counts as positive there; the positives are counted.
        title: over all.
        caption: under all.
        panel: (width, height) of one in inches.
    """
    fig, grid = figure(*panel_grid(len(groups)), panel=panel, title=title, caption=caption)
    switch_off(grid, len(groups))
    top = 0.0
    for axes, (name, values) in zip(grid.flat, groups.items(), strict=False):
        threshold = (thresholds or {}).get(name)
        top = max(top, draw_iou_histogram(axes, values, threshold))
        axes.set_title(name)
    for axes in list(grid.flat)[: len(groups)]:
        axes.set(ylim=(0, 1.05 * top or 1.0))
    grid[0, 0].set_ylabel("share of the boxes")
    return fig


def draw_iou_histogram(axes: Axes, values: Any, threshold: float | None = None) -> float:
    """Shares in bins of 0.05, those from the threshold on in colour; returns the highest share."""
    numbers = to_numpy(values).astype(np.float64).ravel()
    edges = np.linspace(0, 1, 21)
    counts, _ = np.histogram(numbers, edges)
    shares = counts / max(1, len(numbers))
    reached, label = np.zeros_like(shares), "IoU"
    if threshold is not None:
        high, _ = np.histogram(numbers[numbers >= threshold], edges)
        reached = high / max(1, len(numbers))
        axes.axvline(threshold, color=INK, linewidth=1, linestyle="--")
        many, share = int(high.sum()), float(reached.sum())
        label += f"\n{many} of {len(numbers)} are {threshold:.2g} or more ({share:.0%})"
    axes.bar(edges[:-1], shares, 0.05, align="edge", color=PALE if reached.any() else BLUE)
    axes.bar(edges[:-1], reached, 0.05, align="edge", color=VERMILION)
    axes.set_xlim(0, 1)
    axes.set_xlabel(label, fontsize=8)
    return float(shares.max())


def binned_means(
    x: Any, y: Any, edges: Any, least: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of x and of y in each bin of x; bins with fewer than `least` values are left out."""
    across, up = to_numpy(x).astype(np.float64), to_numpy(y).astype(np.float64)
    bins = np.digitize(across, edges) - 1
    used = [b for b in range(len(edges) - 1) if (bins == b).sum() >= least]
    means = [(across[bins == b].mean(), up[bins == b].mean()) for b in used]
    pairs = np.array(means, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


@styled
def correction_curve(
    before: Any,
    after: Mapping[str, Any],
    *,
    low: float = 0.3,
    least: int = 5,
    title: str = "",
    caption: str = "",
) -> Figure:
    """IoU after a correction against IoU before it, averaged in bins; grey: nothing changed.

    Args:
        before: [N] IoU of each box with its object.
        after: name → [N] IoU of the corrected boxes with the same objects.
        low: where the axis begins.
        least: bins with fewer boxes are left out.
        title: over it.
        caption: under it.

    Raises:
        SeglibError: a line with another number of boxes.
    """
    fig, grid = figure(panel=(5.2, 3.2), caption=caption)
    axes = grid[0, 0]
    axes.plot([low, 1], [low, 1], color=GREY, linestyle=":", label="unchanged")
    for number, (name, values) in enumerate(after.items()):
        if len(values) != len(before):
            raise SeglibError(f"{name!r} has {len(values)} boxes, {len(before)} were given")
        x, y = binned_means(before, values, np.arange(low, 1.001, 0.05), least)
        shade, marker = PALETTE[number % len(PALETTE)], "osD^v"[number % 5]
        axes.plot(x, y, color=shade, marker=marker, markersize=4, label=name)
    axes.set(title=title, xlabel="IoU of the box given", ylabel="IoU of the corrected box")
    axes.set(xlim=(low, 1))
    axes.grid()
    axes.legend()
    return fig


@styled
def ap_by_iou(
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    thresholds: Sequence[float],
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """AP against the IoU that a detection must reach, one line a detector, one scale for all.

    Args:
        panels: panel title → name → AP at each threshold.
        thresholds: IoUs that were asked for.
        title: over all.
        caption: under all.

    Raises:
        SeglibError: no panel, or a line with another number of values than thresholds.
    """
    count = len(panels)
    fig, grid = figure(count, panel=(4.4, 2.9), title=title, caption=caption, sharey=True)
    for axes, (name, lines) in zip(grid[0], panels.items(), strict=True):
        for number, (label, values) in enumerate(lines.items()):
            if len(values) != len(thresholds):
                raise SeglibError(f"{label!r} has {len(values)} APs, not {len(thresholds)}")
            shade, marker = PALETTE[number % len(PALETTE)], "osD^v"[number % 5]
            axes.plot(thresholds, values, color=shade, marker=marker, markersize=4, label=label)
        axes.set(title=name, xlabel="IoU that counts as found")
        axes.grid(axis="y")
        axes.legend()
    grid[0, 0].set(ylabel="AP", ylim=(0, None))
    return fig


@styled
def show_differences(
    differences: Mapping[str, tuple[float, float, float]],
    *,
    title: str = "",
    xlabel: str = "difference",
    caption: str = "",
) -> Figure:
    """Mean differences with their intervals, against zero.

    Args:
        differences: name → (mean, lower end, upper end).
        title: over it.
        xlabel: of the differences.
        caption: under it.

    Raises:
        SeglibError: no difference.
    """
    check_some(len(differences), "difference")
    fig, grid = figure(panel=(5.6, 0.9 + 0.3 * len(differences)), caption=caption)
    axes = grid[0, 0]
    axes.axvline(0, color=GREY, linewidth=1)
    for row, (mean, low, high) in enumerate(differences.values()):
        shade = GREY if low <= 0 <= high else BLUE
        axes.plot([low, high], [row, row], color=shade)
        axes.plot([mean], [row], "o", color=shade)
    axes.set_yticks(range(len(differences)), list(differences))
    axes.set(title=title, xlabel=xlabel, ylim=(len(differences) - 0.5, -0.5))
    return fig
