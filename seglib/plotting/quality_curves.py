"""How corrections and detectors compare: IoU before and after, AP by threshold, differences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import Figure, check_some, figure
from seglib.plotting.style import BLUE, GREY, PALETTE, styled


def binned_means(
    x: Any, y: Any, edges: Any, least: int = 5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of x and of y in each bin of x; bins with fewer than `least` values are left out."""
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
    change: bool = False,
    title: str = "",
    caption: str = "",
) -> Figure:
    """IoU after a correction against IoU before it, averaged in bins of 0.05.

    Args:
        before: [N] IoU of each box with its object.
        after: name → [N] IoU of the corrected boxes with the same objects.
        low: lowest IoU shown.
        least: bins with fewer boxes are left out.
        change: show IoU after minus IoU before, so that small differences can be seen.

    Raises:
        SeglibError: a line with another number of boxes.
    """
    fig, grid = figure(panel=(5.2, 3.2), caption=caption)
    axes = grid[0, 0]
    axes.plot(
        [low, 1], [0, 0] if change else [low, 1], color=GREY, linestyle=":", label="unchanged"
    )
    for number, (name, values) in enumerate(after.items()):
        if len(values) != len(before):
            raise SeglibError(f"{name!r} has {len(values)} boxes, expected {len(before)}")
        x, y = binned_means(before, values, np.arange(low, 1.001, 0.05), least)
        y = y - x if change else y
        shade, marker = PALETTE[number % len(PALETTE)], "osD^v"[number % 5]
        axes.plot(x, y, color=shade, marker=marker, markersize=4, label=name)
    ylabel = "change of IoU by the correction" if change else "IoU of the corrected box"
    axes.set(title=title, xlabel="IoU of the box", ylabel=ylabel)
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
    """AP against the IoU threshold, one line per detector, on the same scale in all panels.

    Args:
        panels: panel title → name → AP at each threshold.
        thresholds: the IoUs that a detection must reach to count.

    Raises:
        SeglibError: no panel, or a line whose number of values differs from the thresholds.
    """
    fig, grid = figure(len(panels), panel=(4.4, 2.9), title=title, caption=caption, sharey=True)
    for axes, (name, lines) in zip(grid[0], panels.items(), strict=True):
        for number, (label, values) in enumerate(lines.items()):
            if len(values) != len(thresholds):
                raise SeglibError(f"{label!r} has {len(values)} APs, expected {len(thresholds)}")
            shade, marker = PALETTE[number % len(PALETTE)], "osD^v"[number % 5]
            axes.plot(thresholds, values, color=shade, marker=marker, markersize=4, label=label)
        axes.set(title=name, xlabel="IoU threshold")
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
    """Mean differences with their intervals; an interval that contains zero is grey.

    Args:
        differences: name → (mean, lower end, upper end).
        title: text above the axes.
        xlabel: what the differences measure.

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
