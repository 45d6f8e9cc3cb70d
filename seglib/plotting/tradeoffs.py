"""Accuracy against the time or the size that it costs, a point for each paradigm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seglib.plotting.network_colors import network_colors
from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import GREY, styled


@styled
def tradeoff(
    points: Mapping[str, tuple[float, float]],
    *,
    cost: str = "ms per image",
    accuracy: str = "mask AP",
    title: str = "Accuracy against time",
    caption: str = "",
) -> Figure:
    """Named points; a dashed line joins those that no cheaper point equals in accuracy.

    Args:
        points: name → (cost, accuracy); a lower cost and a higher accuracy are better.
        cost: label of the horizontal axis, with its unit.
        accuracy: label of the vertical axis.
        title: text above the panel.
    """
    fig, grid = figure(1, panel=(5.6, 3.4), caption=caption)
    axes = grid[0, 0]
    best = frontier(list(points.values()))
    axes.plot(*zip(*best, strict=True), color=GREY, linewidth=1, linestyle="--", zorder=1)
    for shade, (name, (x, y)) in zip(network_colors(points), points.items(), strict=True):
        axes.scatter([x], [y], color=shade, s=48, zorder=2, label=name)
        # No dot lies above and to the left of one of the best.
        side = -1 if (x, y) in best else 1
        axes.annotate(
            name,
            (x, y),
            (7 * side, 3 if side < 0 else 0),
            textcoords="offset points",
            ha="right" if side < 0 else "left",
            va="bottom" if side < 0 else "center",
            fontsize=8.5,
        )
    axes.set(title=title, xlabel=cost, ylabel=accuracy)
    axes.set_xlim(0, 1.08 * max(x for x, _ in points.values()))
    heights = [y for _, y in points.values()]
    axes.set_ylim(0.85 * min(heights), 1.12 * max(heights))
    axes.grid(axis="y")
    return fig


def frontier(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The Pareto frontier of (cost, accuracy) pairs, cheapest first.

    It consists of the pairs whose accuracy no other pair of the same or lower cost reaches.
    """
    best: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not best or accuracy > best[-1][1]:
            best.append((cost, accuracy))
    return best
