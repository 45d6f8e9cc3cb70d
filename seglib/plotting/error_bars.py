"""Stacked bars of several detectors' correct detections and kinds of errors."""

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
# Correct detections are pale; errors differ in hue and brightness, for all types of colour vision.
SHADES = {
    CORRECT: PALE,
    "classification": BLUE,
    "localisation": VERMILION,
    "both": PURPLE,
    "duplicate": YELLOW,
    "background": BROWN,
    MISSED: INK,
}
NARROWEST = 0.05  # share of the axis below which a part of a bar has no number


@styled
def show_errors(
    breakdowns: Mapping[str, ErrorBreakdown],
    gains: Mapping[str, ErrorBreakdown] | None = None,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """A row per detector: its detections by kind, and how much AP repairing each kind would gain.

    Args:
        breakdowns: name of the detector → breakdown with the counts to show.
        gains: name of the detector → breakdown with the gains to show; None uses `breakdowns`.
    """
    check_some(len(breakdowns), "detector")
    names = list(breakdowns)
    fig, grid = figure(
        2, panel=(5.0, 1.0 + 0.3 * len(names)), title=title, caption=caption, sharey=True
    )
    layout: Any = fig.get_layout_engine()
    layout.set(w_pad=0.1)  # inches: long names would touch the edge
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


def _bar_style(kind: str) -> dict[str, Any]:
    """The style of a kind's bars; a white edge separates neighbours."""
    return {"color": SHADES[kind], "edgecolor": "white", "linewidth": 0.6, "label": kind}


def _stack(axes: Axes, names: list[str], parts: Mapping[str, Sequence[float]], form: str) -> None:
    """One horizontal bar per name, made of `parts`, with numbers in the wide ones."""
    ends = np.zeros(len(names))
    widest = max(1e-9, float(np.sum(list(parts.values()), axis=0).max()))
    for kind, values in parts.items():
        widths = np.asarray(values, dtype=float)
        axes.barh(names, widths, left=ends, height=0.7, **_bar_style(kind))
        for row, (start, width) in enumerate(zip(ends, widths, strict=True)):
            if width >= NARROWEST * widest:
                text = form.format(width)
                ink = ink_on(SHADES[kind])
                axes.text(
                    start + width / 2, row, text, ha="center", va="center", color=ink, fontsize=8
                )
        ends = ends + widths
    axes.set_xlim(0, 1.02 * widest)
    axes.tick_params(axis="y", length=0)
