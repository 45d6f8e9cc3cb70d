"""How well boxes fit their objects: coloured by IoU over an image, and as histograms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes

from seglib.ops.boxes import box_iou
from seglib.plotting.canvas import to_numpy
from seglib.plotting.detection import draw_boxes, picture_under
from seglib.plotting.panels import (
    Figure,
    figure,
    image_panels,
    legend_below,
    panel_grid,
    switch_off,
)
from seglib.plotting.style import BLUE, GREEN, GREY, INK, ORANGE, PALE, SKY, VERMILION, styled

NAVY = "#08306B"  # darker than BLUE: thin lines of BLUE and SKY are hard to tell apart
# Lowest IoU of each band and its colour, from worst to best.
BANDS: dict[str, tuple[float, str]] = {
    "IoU below 0.5": (0.0, GREY),
    "0.5 to 0.7": (0.5, ORANGE),
    "0.7 to 0.85": (0.7, SKY),
    "0.85 or more": (0.85, NAVY),
}


def best_overlaps(boxes: Any, truth: Any) -> torch.Tensor:
    """[N] largest IoU of each box with any true box; 0 if there are no true boxes."""
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
    """Boxes at each step, coloured by their IoU with the object that they overlap most.

    Args:
        image: float [3, H, W] in 0…1.
        steps: panel title → boxes [N, 4] in pixels; the mean IoU is added to the title.
        truth: [G, 4] true boxes, drawn with thin lines.
    """
    fig, panels = image_panels(
        image, len(steps), columns=columns, panel=panel, title=title, caption=caption
    )
    for axes, (name, boxes) in zip(panels, steps.items(), strict=True):
        overlaps = best_overlaps(boxes, truth)
        word = "mean IoU" if len(overlaps) > 1 else "IoU"
        mean = f"{word} {overlaps.mean():.2f}" if len(overlaps) else "no box"
        draw_by_quality(picture_under(axes, image, f"{name}\n{mean}"), boxes, truth)
    shades = {"truth": GREEN} | {name: shade for name, (_, shade) in BANDS.items()}
    legend_below(fig, shades, columns=5)
    return fig


def draw_by_quality(axes: Axes, boxes: Any, truth: Any) -> None:
    """True boxes as thin green lines; the others in the colour of their band, the best on top."""
    draw_boxes(axes, truth, GREEN, linewidth=1.2)
    corners, overlaps = to_numpy(boxes), best_overlaps(boxes, truth).numpy()
    overlaps = overlaps.round(4)  # so that a box with an IoU of exactly 0.5 is in that band
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
    """A histogram of IoUs for each group, side by side, with those above a threshold in red.

    Args:
        groups: panel title → IoUs [N] in 0…1.
        thresholds: panel title → the IoU from which boxes are highlighted and counted.
        title: text above the figure.
        caption: text below the figure.
        panel: (width, height) of one panel in inches.
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
    grid[0, 0].set_ylabel("share of boxes")
    return fig


def draw_iou_histogram(axes: Axes, values: Any, threshold: float | None = None) -> float:
    """Shares in bins of 0.05, those at or above the threshold in red; returns the largest share."""
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
        label += f"\n{many} of {len(numbers)} reach {threshold:.2g} ({share:.0%})"
    axes.stairs(shares, edges, fill=True, color=PALE if reached.any() else BLUE)
    axes.stairs(reached, edges, fill=True, color=VERMILION)
    axes.set_xlim(0, 1)
    axes.set_xlabel(label, fontsize=8)
    return float(shares.max())
