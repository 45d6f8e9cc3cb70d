"""Bars and histograms: values by name, and the distribution of numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from seglib.errors import SeglibError
from seglib.plotting.canvas import to_numpy
from seglib.plotting.panels import Figure, check_some, figure, legend_beside
from seglib.plotting.style import BLUE, PALETTE, VERMILION, styled


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
    """One horizontal bar per name, with its value at the end.

    Args:
        values: name → length of its bar; NaN is written as "absent".
        title: text above the axes.
        xlabel: what the bars measure.
        ceiling: name → a value to read the bar against, such as what the form of the output allows,
            marked in red. Values are then written inside the bars, so that none is mistaken for
            a ceiling.
        limit: end of the axis; None for the longest bar.
        ranked: sort by length; False keeps the order of the names, such as sizes or thresholds.
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
    """Write the value of a bar next to it, or inside it if a ceiling may be marked there."""
    text = "absent" if np.isnan(number) else f"{number:.2f}"
    gap, length = 0.012 * top, float(np.nan_to_num(number))
    if ceiling is not None and length > 0.12 * top:
        axes.text(length - gap, row, text, va="center", ha="right", fontsize=8.5, color="white")
        return
    # The value of a short bar would overlap a mark nearby, so it is written beyond the mark.
    near = ceiling is not None and length <= ceiling < length + 0.12 * top
    beside = ceiling if ceiling is not None and near else length
    axes.text(beside + gap, row, text, va="center", fontsize=8.5)


@styled
def histogram(
    groups: Mapping[str, Any] | Any,
    *,
    bins: int | Sequence[float] = 30,
    title: str = "",
    xlabel: str = "",
    ylabel: str = "",
    log: bool = False,
    caption: str = "",
) -> Figure:
    """The distribution of numbers; several groups (name → numbers) are shown as shares of each.

    Raises:
        SeglibError: no group, or numbers for which no bins can be chosen.
    """
    named = groups if isinstance(groups, Mapping) else {"": groups}
    arrays = {name: to_numpy(values).ravel() for name, values in named.items()}
    check_some(len(arrays), "group")
    joined = np.concatenate(list(arrays.values()))
    fits = np.isfinite(joined) & (joined > (0 if log else -np.inf))
    if isinstance(bins, int) and not fits.all():
        raise SeglibError(
            f"histogram needs finite numbers{' above 0' if log else ''}: remove the others, or "
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
    counted = ylabel or ("share" if len(arrays) > 1 else "count")
    axes.set(title=title, xlabel=xlabel, ylabel=counted)
    axes.set_xscale("log" if log else "linear")
    if len(arrays) > 1:
        axes.legend()
    return fig
