"""Curves and bars: how training went, and how numbers are spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.style import (
    BLUE,
    GREY,
    PALETTE,
    VERMILION,
    Figure,
    check_some,
    figure,
    legend_beside,
    styled,
)
from seglib.training.config import History


def smooth(values: Sequence[float] | NDArray[Any], window: int) -> NDArray[np.float64]:
    """Mean over the `window` values around each (fewer at the ends): [N] → [N]."""
    numbers = np.asarray(values, dtype=np.float64)
    sums = np.cumsum(np.concatenate([[0.0], numbers]))
    places = np.arange(len(numbers))
    starts = np.maximum(0, places - window // 2)
    ends = np.minimum(len(numbers), places - window // 2 + window)
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
    title: str = "Training",
    caption: str = "",
) -> Figure:
    """The loss by step, faint and smoothed, and beside it any metric measured on the way.

    Where there are several lines, a legend to the right of them names them.

    Args:
        losses: one value a step, or several named series of them.
        metrics: name → (step, value) pairs.
        steps: the steps' numbers where not every step is recorded; 1…N by default.
        window: how many values the bold line averages; a twentieth of them by default.
        ceiling: drawn across the metrics: what a perfect network could reach.
        log: a logarithmic loss axis.
        title: over the loss.
        caption: under all.
    """
    series = losses if isinstance(losses, Mapping) else {"loss": losses}
    fig, grid = figure(2 if metrics else 1, panel=(4.4, 2.8), caption=caption)
    axes = grid[0, 0]
    for shade, (name, values) in zip(PALETTE, series.items(), strict=False):
        _loss_line(axes, name, np.asarray(values, dtype=np.float64), steps, window, shade)
    axes.set(title=title, xlabel="step", ylabel="loss", yscale="log" if log else "linear")
    axes.margins(x=0.01)
    axes.grid(axis="y")
    if len(series) > 1:
        legend_beside(fig, axes)
    if metrics:
        _metric_lines(grid[0, 1], metrics, ceiling)
        if len(metrics) > 1 or ceiling is not None:
            legend_beside(fig, grid[0, 1])
    return fig


def metric_name(key: str) -> str:
    """`mean_iou` as it is spoken: mean IoU."""
    return key.replace("_", " ").replace("iou", "IoU")


def history_curve(
    history: History,
    metrics: Sequence[str] = ("mean_iou",),
    *,
    ceiling: float | None = None,
    title: str = "Training",
    caption: str = "",
) -> Figure:
    """A finished run's losses, and the named metrics of its validations where it has them."""
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
        axes.plot(places, values, color=shade, alpha=0.3, linewidth=0.8)
    axes.plot(places, smooth(values, window), color=shade, label=name)


def _metric_lines(
    axes: Axes, metrics: Mapping[str, Sequence[tuple[int, float]]], ceiling: float | None
) -> None:
    for shade, (name, pairs) in zip(PALETTE[2:], metrics.items(), strict=False):
        places, values = zip(*pairs, strict=True) if pairs else ((), ())
        axes.plot(places, values, color=shade, marker="o", markersize=3.5, label=name)
    if ceiling is not None:
        axes.axhline(ceiling, color=GREY, linestyle="--", linewidth=1, label="ceiling")
    axes.set(title="On images it does not train on", xlabel="step", ylim=(0, 1))
    axes.set_ylabel(", ".join(metrics))
    axes.grid(axis="y")


@styled
def layer_profile(
    profiles: Mapping[str, Sequence[float]],
    *,
    title: str = "",
    ylabel: str = "",
    log: bool = True,
    caption: str = "",
) -> Figure:
    """One number a layer, from the image to the output, as one line for each network.

    Args:
        profiles: network's name → a value for layer 1, 2, …; numbers of layers may differ.
        title: over all.
        ylabel: what the values are.
        log: a logarithmic axis, for what shrinks or grows from layer to layer.
        caption: under all.
    """
    fig, grid = figure(panel=(5.2, 2.9), caption=caption)
    axes = grid[0, 0]
    for shade, (name, values) in zip(PALETTE, profiles.items(), strict=False):
        layers = np.arange(1, len(values) + 1)
        axes.plot(layers, values, color=shade, marker="o", markersize=3, label=name)
    axes.set(title=title, xlabel="layer", ylabel=ylabel, yscale="log" if log else "linear")
    axes.margins(x=0.02)
    axes.grid(axis="y")
    axes.legend()
    return fig


@styled
def bars(
    values: Mapping[str, float],
    *,
    title: str = "",
    xlabel: str = "",
    ceiling: Mapping[str, float] | None = None,
    limit: float | None = 1.0,
    ranked: bool = True,
    caption: str = "",
) -> Figure:
    """One horizontal bar a name, its number at its end.

    Args:
        values: name → length of its bar; NaN is written as absent.
        title: over it.
        xlabel: what the bars measure.
        ceiling: name → the most that could be reached, a red mark across the bar's row; the
            numbers then stand inside the bars, so that none is taken for a mark's.
        limit: where the axis ends, a little air aside; None for the longest bar.
        ranked: the longest first; False keeps the names' own order, as of sizes or thresholds.
        caption: under it.
    """
    ceiling = ceiling or {}
    ordered = list(values.items())
    if ranked:
        ordered.sort(key=lambda item: (np.isnan(item[1]), -item[1]))
    fig, grid = figure(panel=(6.2, 0.7 + 0.24 * len(ordered)), caption=caption)
    axes: Axes = grid[0, 0]
    names = [name for name, _ in ordered]
    numbers = np.array([number for _, number in ordered])
    axes.barh(names, np.nan_to_num(numbers), color=BLUE, height=0.7, label="reached")
    top = limit or float(np.nanmax(numbers)) * 1.1
    for row, (name, number) in enumerate(zip(names, numbers, strict=True)):
        _write_number(axes, row, number, top, ceiling.get(name))
    if marked := [name for name in names if not np.isnan(ceiling.get(name, np.nan))]:
        places = [ceiling[name] for name in marked]
        axes.scatter(
            places,
            marked,
            marker="|",
            s=90,
            linewidth=2,
            color=VERMILION,
            label="ceiling",
            zorder=3,
        )
        handles, labels = axes.get_legend_handles_labels()
        legend_beside(fig, axes, handles[::-1], labels[::-1])
    axes.set(title=title, xlabel=xlabel, xlim=(0, top * 1.1))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    return fig


def _write_number(axes: Axes, row: int, number: float, top: float, ceiling: float | None) -> None:
    """The number of a bar: beside it, or inside where a ceiling's mark may stand beside it."""
    text = "absent" if np.isnan(number) else f"{number:.2f}"
    air, length = 0.012 * top, float(np.nan_to_num(number))
    if ceiling is not None and length > 0.12 * top:
        axes.text(length - air, row, text, va="center", ha="right", fontsize=8.5, color="white")
        return
    # A short bar's number would lie on a mark close by: it goes behind the mark.
    near = ceiling is not None and length <= ceiling < length + 0.12 * top
    beside = ceiling if ceiling is not None and near else length
    axes.text(beside + air, row, text, va="center", fontsize=8.5)


@styled
def histogram(
    groups: Mapping[str, Any] | Any,
    *,
    bins: int | Sequence[float] = 30,
    title: str = "",
    xlabel: str = "",
    log: bool = False,
    caption: str = "",
) -> Figure:
    """How numbers are spread; several named groups side by side, as shares of their own total.

    Raises:
        SeglibError: no group, or numbers that have no place among bins that are made for them.
    """
    named = groups if isinstance(groups, Mapping) else {"": groups}
    arrays = {name: to_numpy(values).ravel() for name, values in named.items()}
    check_some(len(arrays), "group")
    joined = np.concatenate(list(arrays.values()))
    fits = np.isfinite(joined) & (joined > (0 if log else -np.inf))
    if isinstance(bins, int) and not fits.all():
        raise SeglibError(
            f"histogram needs finite numbers{' above 0' if log else ''}: leave the others out, or "
            "give the edges of the bins"
        )
    edges = np.histogram_bin_edges(np.log10(joined) if log else joined, bins)
    edges = 10**edges if log and isinstance(bins, int) else edges
    fig, grid = figure(panel=(5.2, 2.7), caption=caption)
    axes = grid[0, 0]
    if len(arrays) > 1:
        shares = [np.full(len(values), 1 / max(1, len(values))) for values in arrays.values()]
        shades = list(PALETTE[: len(arrays)])
        axes.hist(list(arrays.values()), edges, weights=shares, color=shades, label=list(arrays))
    else:
        axes.hist(joined, edges, color=BLUE, edgecolor="white", linewidth=0.4)
    axes.set(title=title, xlabel=xlabel, ylabel="share" if len(arrays) > 1 else "count")
    axes.set_xscale("log" if log else "linear")
    if len(arrays) > 1:
        axes.legend()
    return fig
