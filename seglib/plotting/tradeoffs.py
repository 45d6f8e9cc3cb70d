"""Accuracy against the time or the size that it costs, a point for each paradigm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.ticker import NullFormatter, ScalarFormatter

from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import GREY, PALETTE, styled


@styled
def tradeoff(
    points: Mapping[str, tuple[float, float]],
    *,
    cost: str = "ms per image",
    accuracy: str = "mask AP",
    title: str = "Accuracy against time",
    caption: str = "",
) -> Figure:
    """Named points with their cost on a logarithmic axis; a line joins those that none surpasses.

    Args:
        points: name → (cost, accuracy); a lower cost and a higher accuracy are better.
        cost: label of the horizontal axis, with its unit.
        accuracy: label of the vertical axis.
        title: above the panel.
    """
    fig, grid = figure(1, panel=(5.6, 3.4), caption=caption)
    axes = grid[0, 0]
    best = frontier(list(points.values()))
    axes.plot(*zip(*best, strict=True), color=GREY, linewidth=1, linestyle="--", zorder=1)
    for index, (name, (x, y)) in enumerate(points.items()):
        axes.scatter([x], [y], color=PALETTE[index % len(PALETTE)], s=36, zorder=2)
        axes.annotate(name, (x, y), xytext=(6, 4), textcoords="offset points", fontsize=8.5)
    axes.set(title=title, xlabel=cost, ylabel=accuracy, xscale="log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = axes.get_xlim()
    axes.set_xlim(low, high * (high / low) ** 0.25)  # room for the name of the slowest
    axes.set_ylim(bottom=0)
    axes.grid(axis="y")
    return fig


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, accuracy) pairs that no cheaper or equally cheap one reaches, cheapest first."""
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best
