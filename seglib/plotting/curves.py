"""Curves over the steps of a training run or the layers of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from seglib.plotting.panels import Figure, figure, legend_beside
from seglib.plotting.style import GREY, PALETTE, styled
from seglib.training.history import History


def smooth(values: Sequence[float] | NDArray[Any], window: int) -> NDArray[np.float64]:
    """Moving average [N] → [N] over `window` values.

    Towards the ends it narrows evenly, so that it stays centred, down to a quarter of the window
    or one neighbour on either side.
    """
    numbers = np.asarray(values, dtype=np.float64)
    sums = np.cumsum(np.concatenate([[0.0], numbers]))
    places = np.arange(len(numbers))
    widest = window // 2
    narrowest = min(widest, max(1, window // 8))
    reach = np.clip(np.minimum(places, places[::-1]), narrowest, widest)
    starts = np.maximum(0, places - reach)
    ends = np.minimum(len(numbers), places + reach + 1)
    return (sums[ends] - sums[starts]) / (ends - starts)


@styled
def training_curve(
    losses: Sequence[float] | Mapping[str, Sequence[float]],
    metrics: Mapping[str, Sequence[tuple[int, float]]] | None = None,
    *,
    steps: Sequence[int] | None = None,
    window: int | None = None,
    ceiling: float | None = None,
    log: bool = False,
    measure: str = "loss",
    title: str = "Training",
    caption: str = "",
) -> Figure:
    """The loss at each step, raw and smoothed, and beside it the metrics measured during training.

    Args:
        losses: one value per step, or several named series.
        metrics: name → (step, value) pairs.
        steps: the numbers of the recorded steps, by default 1…N.
        window: number of values in the moving average, by default a twentieth of them all.
        ceiling: the best possible value of the metrics, drawn as a dashed line.
        log: use a logarithmic axis for the loss.
        measure: what the values are, written beside the axis of the loss.
        title: text above the loss.
    """
    series = losses if isinstance(losses, Mapping) else {"loss": losses}
    fig, grid = figure(2 if metrics else 1, panel=(4.4, 2.8), caption=caption)
    axes = grid[0, 0]
    for shade, (name, values) in zip(PALETTE, series.items(), strict=False):
        _loss_line(axes, name, np.asarray(values, dtype=np.float64), steps, window, shade)
    axes.set(title=title, xlabel="step", ylabel=measure, yscale="log" if log else "linear")
    axes.margins(x=0.01)
    axes.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.grid(axis="y")
    if len(series) > 1:
        legend_beside(fig, axes)
    elif len(axes.lines) > 1:
        axes.legend(axes.lines, ["each step", "smoothed"], loc="upper right")
    if metrics:
        _metric_lines(grid[0, 1], metrics, ceiling)
        if len(metrics) > 1 or ceiling is not None:
            legend_beside(fig, grid[0, 1])
    return fig


def metric_name(key: str) -> str:
    """The key of a metric in words: `mean_iou` is mean IoU."""
    return key.replace("_", " ").replace("iou", "IoU")


def loss_name(key: str) -> str:
    """The key of a loss in words: `giou_loss` is GIoU loss."""
    return key.replace("_", " ").replace("giou", "GIoU")


def history_curve(
    history: History,
    metrics: Sequence[str] = ("mean_iou",),
    *,
    ceiling: float | None = None,
    title: str = "Training",
    caption: str = "",
) -> Figure:
    """The losses of a finished run, and its validation scores in the named metrics."""
    measured = {
        metric_name(name): [
            (int(row["step"]), row[name]) for row in history.validation if name in row
        ]
        for name in metrics
    }
    shown = {name: pairs for name, pairs in measured.items() if pairs}
    return training_curve(history.losses, shown, ceiling=ceiling, title=title, caption=caption)


def _loss_line(
    axes: Axes,
    name: str,
    values: NDArray[np.float64],
    steps: Sequence[int] | None,
    window: int | None,
    shade: str,
) -> None:
    places = np.arange(1, len(values) + 1) if steps is None else np.asarray(steps)
    window = window or max(1, len(values) // 20)
    if window > 1:
        axes.plot(places, values, color=shade, alpha=0.3, linewidth=0.8, zorder=1.9)
    axes.plot(places, smooth(values, window), color=shade, label=loss_name(name))


def _metric_lines(
    axes: Axes, metrics: Mapping[str, Sequence[tuple[int, float]]], ceiling: float | None
) -> None:
    for shade, (name, pairs) in zip(PALETTE[2:], metrics.items(), strict=False):
        places, values = zip(*pairs, strict=True) if pairs else ((), ())
        axes.plot(places, values, color=shade, marker="o", markersize=3.5, label=name)
    if ceiling is not None:
        axes.axhline(ceiling, color=GREY, linestyle="--", linewidth=1, label="ceiling")
    axes.set(title="On validation images", xlabel="step", ylim=(0, 1))
    axes.set_ylabel(", ".join(metrics))
    axes.grid(axis="y")


@styled
def layer_profile(
    profiles: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    ylabel: str = "",
    log: bool = True,
    shades: Mapping[str, str] | None = None,
    caption: str = "",
) -> Figure:
    """One value per layer, from the image to the output, with one line for each network.

    Args:
        profiles: name of the network → values of layer 1, 2, …
        title: text above the axes.
        ylabel: what the values are.
        log: use a logarithmic axis.
        shades: name of the network → its colour, by default the next of the palette.
    """
    fig, grid = figure(panel=(5.2, 2.9), caption=caption)
    axes = grid[0, 0]
    for shade, (name, values) in zip(PALETTE, profiles.items(), strict=False):
        layers = np.arange(1, len(values) + 1)
        shade = (shades or {}).get(name, shade)
        axes.plot(layers, values, color=shade, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel="layer", ylabel=ylabel, yscale="log" if log else "linear")
    axes.margins(x=0.02)
    axes.grid(axis="y")
    axes.legend()
    return fig
