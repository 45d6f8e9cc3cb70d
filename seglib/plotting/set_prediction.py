"""Set prediction: matching costs, matched pairs, and where the boxes of each query lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from seglib.plotting.canvas import to_numpy
from seglib.plotting.detection import add_outlines, draw_boxes, picture_under
from seglib.plotting.grids import draw_grid, mark_cells
from seglib.plotting.panels import (
    Figure,
    figure,
    image_panels,
    legend_below,
    panel_grid,
    switch_off,
)
from seglib.plotting.style import BLUE, GREEN, INK, PALE, SEQUENTIAL, VERMILION, styled

Pairs = Iterable[tuple[int, int]]


@styled
def show_costs(
    panels: Mapping[str, tuple[Any, Pairs]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Cost matrices with their numbers, the chosen pairs framed; a dark cell is expensive.

    Args:
        panels: panel title → (costs [N, M], pairs of row and column).
        rows: the names of the N rows, such as queries.
        columns: the names of the M columns, such as objects.

    Raises:
        SeglibError: no panel.
    """
    size = (1.1 + 0.62 * len(columns), 0.75 + 0.36 * len(rows))
    fig, grid = figure(len(panels), panel=size, title=title, caption=caption)
    for axes, (name, (cost, pairs)) in zip(grid.flat, panels.items(), strict=True):
        draw_costs(axes, cost, pairs, rows, columns, name)
    return fig


def draw_costs(
    axes: Axes,
    cost: Any,
    pairs: Pairs,
    rows: Sequence[str],
    columns: Sequence[str],
    title: str = "",
) -> None:
    """One cost matrix [N, M] with names at its sides."""
    draw_grid(axes, cost, title, fontsize=8)
    mark_cells(axes, pairs, VERMILION, alpha=0)  # a tint would make a framed cell look dearer
    axes.set_aspect("auto")
    axes.set_yticks(range(len(rows)), rows)
    axes.set_xticks(range(len(columns)), columns)
    axes.tick_params(length=0)


@styled
def show_matching(
    image: Any,
    panels: Mapping[str, tuple[Any, Any, Pairs]],
    names: Sequence[str] = (),
    *,
    columns: int | None = None,
    caption: str = "",
    panel: float = 3.4,
) -> Figure:
    """Predicted boxes joined with the objects that they are matched to.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → (predicted boxes [Q, 4], true boxes [G, 4], pairs of their rows).
        names: names of the predictions, written at those that are matched.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(image, len(panels), columns=columns, panel=panel, caption=caption)
    for axes, (name, (boxes, truth, pairs)) in zip(grid, panels.items(), strict=True):
        draw_matching(axes, image, boxes, truth, pairs, names, name)
    shades = {"truth": GREEN, "matched": VERMILION, "pair": BLUE, "no object": INK}
    legend_below(fig, shades, dashed=("no object",))
    return fig


def draw_matching(
    axes: Axes,
    image: Any,
    boxes: Any,
    truth: Any,
    pairs: Pairs,
    names: Sequence[str] = (),
    title: str = "",
) -> None:
    """The boxes over the image; a line joins each pair's centres, with a ring at the true one."""
    picture_under(axes, image, title)
    found, wanted = (to_numpy(x).astype(np.float64).reshape(-1, 4) for x in (boxes, truth))
    pairs = list(pairs)
    matched = [query for query, _ in pairs]
    unmatched = [query for query in range(len(found)) if query not in matched]
    add_outlines(axes, found[unmatched], "white", linewidths=2.4, alpha=0.6, zorder=1)
    add_outlines(axes, found[unmatched], INK, linestyles="--", linewidths=1.2, zorder=1)
    draw_boxes(axes, wanted, GREEN, linewidth=3)  # visible even under a matched box
    texts = [names[query] for query in matched] if names else ()
    draw_boxes(axes, found[matched], VERMILION, texts, linewidth=1.2)
    for query, target in pairs:
        (x, y), (to_x, to_y) = ((b[:2] + b[2:]) / 2 for b in (found[query], wanted[target]))
        line: Any = {"color": BLUE, "linewidth": 1.2, "zorder": 5}
        axes.plot([x, to_x], [y, to_y], "o-", markersize=3.5, markevery=[0], **line)
        axes.plot([to_x], [to_y], "o", markersize=6, markerfacecolor="white", **line)


@styled
def show_query_boxes(
    queries: Mapping[str, Any],
    *,
    columns: int = 6,
    title: str = "",
    caption: str = "",
    panel: float = 1.6,
) -> Figure:
    """Where the boxes of each query lie over many images: a dot at the centre of each box.

    Args:
        queries: panel title → boxes [N, 4]: centre, width and height in 0…1 of the image's size.
            The larger a box, the brighter its dot.

    Raises:
        SeglibError: no panel.
    """
    ncols, nrows = panel_grid(len(queries), columns)
    fig, grid = figure(ncols, nrows, panel=panel, title=title, caption=caption)
    switch_off(grid, len(queries))
    for axes, (name, boxes) in zip(grid.flat, queries.items(), strict=False):
        x, y, width, height = to_numpy(boxes).astype(np.float64).reshape(-1, 4).T
        side = np.sqrt(width * height)
        dots = axes.scatter(x, y, c=side, s=12, cmap=SEQUENTIAL, vmin=0, vmax=0.8, linewidths=0)
        axes.set(xlim=(0, 1), ylim=(1, 0), xticks=[], yticks=[], aspect="equal")
        axes.spines[:].set_visible(True)
        axes.spines[:].set_color(PALE)
        axes.set_title(name, fontsize=8.5)
    fig.colorbar(dots, ax=grid, label="side of a square of equal area", shrink=0.8)
    return fig
