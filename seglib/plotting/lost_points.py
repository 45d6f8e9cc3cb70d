"""The points that a class of students loses in each task."""

from __future__ import annotations

from collections.abc import Mapping

from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import INK, ORANGE, PALE, styled


@styled
def show_lost_points(lost: Mapping[str, float], *, title: str = "") -> Figure:
    """One bar per task: the share of its points that the class lost.

    Args:
        lost: task -> share in 0…1.
    """
    drawn, ((axes,),) = figure(panel=(7.0, 0.6 + 0.4 * max(len(lost), 1)), title=title)
    names = list(lost)
    axes.barh(names, [1.0] * len(names), color=PALE)
    axes.barh(names, list(lost.values()), color=ORANGE)
    for row, share in enumerate(lost.values()):
        axes.text(1.01, row, f"{share:.0%}", va="center", color=INK)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="share of the points that the class lost")
    return drawn
