"""How accuracy rises with the time of training, a line for each paradigm."""

from __future__ import annotations

from collections.abc import Mapping

from seglib.plotting.network_colors import network_colors
from seglib.plotting.panels import Figure, figure, legend_beside
from seglib.plotting.style import styled
from seglib.pretrained.curves import FIGURES, LearningCurve


@styled
def show_learning(curves: Mapping[str, LearningCurve], *, caption: str = "") -> Figure:
    """A panel each for box AP and mask AP against processor minutes; points are validations.

    Args:
        curves: name → one recorded training.
    """
    fig, grid = figure(2, panel=(3.9, 2.9), caption=caption, sharey=True)
    for axes, key in zip(grid[0], reversed(FIGURES), strict=True):
        for shade, (name, curve) in zip(network_colors(curves), curves.items(), strict=True):
            axes.plot(curve.minutes, curve.figures[key], color=shade, marker="o", label=name)
        axes.set(title=key.replace("_", " "), xlabel="processor minutes")
        axes.set_xlim(left=0)
        axes.grid(axis="y")
    legend_beside(fig, grid[0, 1])
    return fig
