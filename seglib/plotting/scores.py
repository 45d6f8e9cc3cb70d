"""Measures of quality: precision and recall, average precision, confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter
from matplotlib.transforms import Bbox
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.metrics.average_precision import RECALL_POINTS, interpolate_precision
from seglib.metrics.average_precision import precision_recall as measure
from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    SEQUENTIAL,
    VERMILION,
    ink_on,
    styled,
)

Floats = NDArray[np.float64]


def draw_precision_recall(axes: Axes, precision: Any, recall: Any, verdicts: Any = None) -> float:
    """Draw the measured points and the 101 samples of their envelope; returns their mean, AP."""
    precision, recall = to_numpy(precision), to_numpy(recall)
    sampled = interpolate_precision(precision, recall)
    axes.fill_between(RECALL_POINTS, sampled, color=BLUE, alpha=0.15, step="pre", linewidth=0)
    dots: Any = {
        "markersize": 3,
        "clip_on": False,
        "zorder": 2.6,
    }  # above the axis, for samples of 0
    axes.plot(RECALL_POINTS, sampled, ".", color=BLUE, label="sampled at 101 recalls", **dots)
    few = len(precision) <= 12
    axes.plot(recall, precision, color=ORANGE, linewidth=1.2, label="measured")
    if few and verdicts is not None:
        for rank, (r, p, hit) in enumerate(zip(recall, precision, verdicts, strict=True), 1):
            shade, marker = (GREEN, "o") if hit else (VERMILION, "X")
            axes.plot(r, p, marker, color=shade, markersize=9, markeredgecolor="white", zorder=3)
            beside = (-9, -3) if not hit else (3, 7)
            axes.annotate(
                str(rank),
                (r, p),
                beside,
                textcoords="offset points",
                fontsize=8.5,
                ha="right" if not hit else "left",
            )
    axes.set(xlabel="recall", ylabel="precision", xlim=(-0.02, 1.02), ylim=(0, 1.1))
    axes.grid()
    return float(sampled.mean())


@styled
def precision_recall(
    precision: Any, recall: Any, *, title: str = "Precision and recall", caption: str = ""
) -> Figure:
    """The precision-recall curve of ranked detections, and the area under it as COCO measures it.

    Args:
        precision: [N] after each detection, best score first.
        recall: [N], ascending.
        title: text above the axes, followed by the average precision.
    """
    fig, grid = figure(panel=(4.8, 3.4), caption=caption)
    average = draw_precision_recall(grid[0, 0], precision, recall)
    grid[0, 0].set_title(f"{title}: AP = {average:.3f}")
    grid[0, 0].legend(loc="lower left")
    return fig


@styled
def ap_staircase(
    scores: Sequence[float],
    correct: Sequence[bool],
    truths: int,
    *,
    title: str = "Average precision by hand",
    caption: str = "",
) -> Figure:
    """A few detections ranked in a table, and their precision-recall curve.

    Args:
        scores: scores of the detections, in any order.
        correct: whether each detection is a true positive.
        truths: number of objects.
    """
    order = np.argsort(-np.asarray(scores), kind="stable")
    true_positives = np.asarray(correct, dtype=bool)[order]
    precision, recall = measure(true_positives, ~true_positives, truths)
    verdicts = true_positives.tolist()
    fig, grid = figure(2, panel=(4.4, 3.3), title=title, caption=caption, widths=[1, 1.15])
    _ranking_table(grid[0, 0], [float(scores[i]) for i in order], verdicts, precision, recall)
    average = draw_precision_recall(grid[0, 1], precision, recall, verdicts)
    grid[0, 1].set_title(f"AP = {average:.3f}, the mean of 101 samples")
    grid[0, 1].legend(loc="lower left")
    return fig


def _ranking_table(
    axes: Axes, scores: list[float], verdicts: list[bool], precision: Floats, recall: Floats
) -> None:
    axes.set_axis_off()
    axes.set_title("Best score first")
    rows = [
        [str(rank), f"{score:.2f}", "TP" if hit else "FP", f"{p:.2f}", f"{r:.2f}"]
        for rank, (score, hit, p, r) in enumerate(
            zip(scores, verdicts, precision, recall, strict=True), 1
        )
    ]
    bottom = max(0.0, 0.86 - 0.14 * len(rows))
    table = axes.table(
        cellText=rows,
        colLabels=["rank", "score", "verdict", "precision", "recall"],
        cellLoc="center",
        bbox=Bbox.from_bounds(0, bottom, 1, 1 - bottom),
    )
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    for (row, column), cell in table.get_celld().items():
        cell.set_edgecolor(PALE)
        if row == 0:
            cell.set_text_props(weight="bold", color=GREY)
        elif column == 2:
            cell.set_text_props(weight="bold", color=GREEN if verdicts[row - 1] else VERMILION)


@styled
def confusion_heatmap(
    confusion: Any,
    names: Sequence[str],
    *,
    title: str = "Which class is taken for which",
    caption: str = "Per cent of the true class's pixels; cells below 0.5 are left empty.",
) -> Figure:
    """A confusion matrix with each row normalised to per cent of the true class.

    Args:
        confusion: [K, K] counts, rows true, columns predicted; classes without any are left out.
        names: K class names.
    """
    counts = to_numpy(confusion).astype(np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1] or len(names) != len(counts):
        raise SeglibError(f"confusion {list(counts.shape)} does not fit {len(names)} names")
    kept = np.flatnonzero(counts.sum(0) + counts.sum(1) > 0)
    counts = counts[np.ix_(kept, kept)]
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = max(2.6, 0.36 * len(kept) + 0.9)
    fig, grid = figure(panel=(side + 0.9, side), caption=caption)
    axes = grid[0, 0]
    picture = axes.imshow(shares, vmin=0, vmax=1, cmap=SEQUENTIAL)
    labels = [names[i] for i in kept.tolist()]
    axes.set_xticks(range(len(kept)), labels, rotation=90 if len(kept) > 5 else 0)
    axes.set_yticks(range(len(kept)), labels)
    axes.set(title=title, xlabel="predicted", ylabel="true")
    axes.tick_params(length=0)
    for row, column in np.argwhere(shares >= 0.005):
        share = shares[row, column]
        shade = ink_on(picture.cmap(share)[:3])
        axes.text(
            column, row, f"{100 * share:.0f}", ha="center", va="center", color=shade, fontsize=8
        )
    bar = fig.colorbar(picture, ax=axes, shrink=0.8, label="per cent of the true class's pixels")
    bar.ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    return fig
