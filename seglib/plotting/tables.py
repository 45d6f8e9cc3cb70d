"""A table as a figure."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from seglib.plotting.panels import Figure, figure
from seglib.plotting.style import GREY, INK, PALE, styled

LINE = 0.24  # inches per row
LETTER = 0.085  # inches per character of the widest cell of a column
GAP = 0.25  # inches between columns


@styled
def show_tables(tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]]) -> Figure:
    """Tables below one another; first columns are left-aligned, the others right-aligned.

    Args:
        tables: (title, headings, rows) each; every row has as many cells as there are headings.
    """
    widths = [_widths(headings, rows) for _, headings, rows in tables]
    panel = (max(map(sum, widths)), LINE * (max(len(rows) for _, _, rows in tables) + 2))
    fig, grid = figure(1, len(tables), panel=panel)
    for axes, (title, headings, rows), width in zip(grid[:, 0], tables, widths, strict=True):
        _write(axes, headings, rows, width, panel[0])
        axes.set_title(title, loc="left")
    return fig


def _widths(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[float]:
    """Inches for each column."""
    columns = zip(headings, *rows, strict=True)
    return [LETTER * max(map(len, column)) + GAP for column in columns]


def _write(
    axes: Axes,
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[float],
    full: float,
) -> None:
    """Headings, a line below them, and the rows; one unit is an inch across and a row down."""
    axes.set(xlim=(0, full), ylim=(len(rows) + 0.7, -0.7), xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.axhline(0.5, color=PALE)
    for line, cells in enumerate([headings, *rows]):
        end = 0.0
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True)):
            end += width
            place, side = (0.0, "left") if column == 0 else (end, "right")
            shade = INK if line else GREY
            weight = "bold" if column == 0 else "normal"
            axes.text(place, line, cell, ha=side, va="center", color=shade, fontweight=weight)
