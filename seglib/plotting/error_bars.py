"""Stacked bars of what several detectors get right, and wrong in which way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from seglib.metrics.error_breakdown import CORRECT, ERRORS, ErrorBreakdown
from seglib.plotting.panels import Figure, check_some, figure
from seglib.plotting.style import (
    BLUE,
    BROWN,
    INK,
    PALE,
    PURPLE,
    VERMILION,
    YELLOW,
    ink_on,
    styled,
)

MISSED = "missed"
# What is correct stays quiet; errors differ in hue and brightness, for all types of colour vision.
SHADES = {
    CORRECT: PALE,
    "classification": BLUE,
    "localisation": VERMILION,
    "both": PURPLE,
    "duplicate": YELLOW,
    "background": BROWN,
    MISSED: INK,
}
LEAST = 0.05  # of the axis: a narrower part has no number


@styled
def show_errors(
    breakdowns: Mapping[str, ErrorBreakdown],
    gains: Mapping[str, ErrorBreakdown] | None = None,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """A row per detector: its detections by kind, and what repairing each kind would gain.

    Args:
        breakdowns: name → whose counts to show.
        gains: name → whose gains to show, with the same names; None: the same breakdowns.
    """
    check_some(len(breakdowns), "detector")
    names = list(breakdowns)
    fig, grid = figure(
        2, panel=(5.0, 1.0 + 0.3 * len(names)), title=title, caption=caption, sharey=True
    )
    counts = {kind: [one.errors[kind] for one in breakdowns.values()] for kind in ERRORS}
    counts = {CORRECT: [one.correct for one in breakdowns.values()], **counts}
    _stack(grid[0, 0], names, counts, "{:.0f}")
    grid[0, 0].set(title="What the detections are", xlabel="detections")
    repaired = [(gains or breakdowns)[name].gains for name in names]
    costs = {
        kind: [100 * max(0.0, float(np.nan_to_num(one[kind]))) for one in repaired]
        for kind in (*ERRORS, MISSED)
    }
    _stack(grid[0, 1], names, costs, "{:.0f}")
    grid[0, 1].set(title="What repairing one kind would gain", xlabel="points of AP at this IoU")
    grid[0, 0].invert_yaxis()
    handles = {
        text: handle
        for axes in grid[0]
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=len(handles))
    return fig


def _look(kind: str) -> dict[str, Any]:
    """How the bars of a kind look: a white edge separates neighbours."""
    return {"color": SHADES[kind], "edgecolor": "white", "linewidth": 0.6, "label": kind}


def _stack(axes: Axes, names: list[str], parts: Mapping[str, Sequence[float]], form: str) -> None:
    """One horizontal bar per name, made of these parts, with numbers in the wide ones."""
    ends = np.zeros(len(names))
    widest = max(1e-9, float(np.sum(list(parts.values()), axis=0).max()))
    for kind, values in parts.items():
        widths = np.asarray(values, dtype=float)
        axes.barh(names, widths, left=ends, height=0.7, **_look(kind))
        for row, (start, width) in enumerate(zip(ends, widths, strict=True)):
            if width >= LEAST * widest:
                text = form.format(width)
                ink = ink_on(SHADES[kind])
                axes.text(
                    start + width / 2, row, text, ha="center", va="center", color=ink, fontsize=8
                )
        ends = ends + widths
    axes.set_xlim(0, 1.02 * widest)
    axes.tick_params(axis="y", length=0)
