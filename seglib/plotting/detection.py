"""Boxes over an image: proposals, anchors, what they are corrected to, what suppression leaves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from seglib.errors import SeglibError
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    Figure,
    bare,
    figure,
    panel_grid,
    styled,
    switch_off,
)

Boxes = Any  # [N, 4] corners in pixels
SHADES = (VERMILION, SKY, ORANGE, GREEN, PURPLE, BLUE)
HALO = [withStroke(linewidth=3.0, foreground="white")]


@styled
def show_boxes(
    image: Any,
    panels: Mapping[str, Boxes | Mapping[str, Boxes]],
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.3,
) -> Figure:
    """Boxes over an image, a panel for each stage.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → boxes [N, 4], or group → boxes; a group has one colour in all
            panels, and groups are explained below the panels. A group whose name begins with
            "no" is drawn dashed.
        names: group → a text for each of its boxes, written at the box's upper left corner.
        columns: panels in a row.
        title: over all.
        caption: under all.
        panel: width of one panel in inches.

    Raises:
        SeglibError: no panel, or boxes that are not [N, 4].
    """
    groups = {
        name: dict(found) if isinstance(found, Mapping) else {"": found}
        for name, found in panels.items()
    }
    every = dict.fromkeys(group for found in groups.values() for group in found)
    shade = dict(zip(every, SHADES * (1 + len(every) // len(SHADES)), strict=False))
    ncols, nrows = panel_grid(len(panels), columns)
    height, width = as_rgb(image).shape[:2]
    size = (panel, panel * min(1.15, height / width))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    for axes, (name, found) in zip(grid.flat, groups.items(), strict=False):
        picture_under(axes, image, name)
        for group, boxes in found.items():
            texts = (names or {}).get(group, ())
            draw_boxes(axes, boxes, shade[group], texts, dashed=group.startswith("no"))
    switch_off(grid, len(panels))
    if named := [group for group in every if group]:
        _legend(fig, {group: shade[group] for group in named})
    return fig


def picture_under(axes: Axes, image: Any, title: str = "") -> Axes:
    """An image with its pixels' corners at whole coordinates, paled so that boxes stand out."""
    # Under boxes 32 shades a channel are enough, and they halve the size of the file.
    pixels = as_rgb(image) // 8 * 8 + 4
    height, width = pixels.shape[:2]
    bare(axes).imshow(pixels, extent=(0, width, height, 0), interpolation="nearest", alpha=0.8)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="equal")
    axes.set_title(title)
    return axes


def draw_boxes(
    axes: Axes,
    boxes: Boxes,
    shade: str,
    texts: Sequence[str] = (),
    *,
    dashed: bool = False,
    linewidth: float = 1.6,
) -> None:
    """Rectangles with a light edge, and a text at each where there are texts."""
    corners = to_numpy(boxes).astype(np.float64)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise SeglibError(f"boxes to draw are [N, 4], got {list(corners.shape)}")
    # Of many boxes each is drawn thinner, or they hide the image.
    line = linewidth if len(corners) <= 40 else 0.6 * linewidth
    for number, (x0, y0, x1, y1) in enumerate(corners.tolist()):
        axes.add_patch(
            Rectangle(
                (x0, y0),
                x1 - x0,
                y1 - y0,
                fill=False,
                edgecolor=shade,
                linewidth=line,
                linestyle="--" if dashed else "-",
                path_effects=None if len(corners) > 40 else HALO,
                zorder=3,
            )
        )
        if number < len(texts) and texts[number]:
            axes.text(
                x0 + 1,
                y0 + 1,
                texts[number],
                color=shade,
                fontsize=8.5,
                fontweight="bold",
                va="top",
                path_effects=HALO,
                clip_on=True,
                zorder=4,
            )


def _legend(fig: Figure, shades: Mapping[str, str]) -> None:
    handles = [
        Line2D(
            [],
            [],
            color=shade,
            linestyle="--" if group.startswith("no") else "-",
            label=group,
        )
        for group, shade in shades.items()
    ]
    fig.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))


@styled
def show_corrections(
    image: Any,
    boxes: Boxes,
    corrected: Boxes,
    truth: Boxes | None = None,
    *,
    names: tuple[str, str] = ("anchor", "corrected"),
    title: str = "",
    caption: str = "",
) -> Figure:
    """Boxes before (dashed) and after their correction, an arrow from centre to centre.

    Args:
        image: float [3, H, W] in 0…1.
        boxes: [N, 4].
        corrected: [N, 4].
        truth: [G, 4] true boxes, drawn thin beneath.
        names: of the two in the legend.
        title: over it.
        caption: under it.

    Raises:
        SeglibError: not a corrected box for every box.
    """
    if len(boxes) != len(corrected):
        raise SeglibError(f"{len(boxes)} boxes have {len(corrected)} corrected ones: give each one")
    height, width = as_rgb(image).shape[:2]
    fig, grid = figure(panel=(3.8, 3.8 * min(1.15, height / width)), caption=caption)
    axes = picture_under(grid[0, 0], image, title)
    shades = {}
    if truth is not None:
        shades["truth"] = GREEN
        draw_boxes(axes, truth, GREEN, linewidth=1.2)
    shades |= dict(zip(names, (SKY, VERMILION), strict=True))
    draw_boxes(axes, boxes, SKY, dashed=True)
    draw_boxes(axes, corrected, VERMILION)
    for before, after in zip(to_numpy(boxes), to_numpy(corrected), strict=True):
        (x, y), (to_x, to_y) = ((b[:2] + b[2:]) / 2 for b in (before, after))
        axes.plot([x], [y], "o", color=SKY, markersize=3.5, zorder=5)
        axes.annotate(
            "",
            (to_x, to_y),
            (x, y),
            arrowprops={"arrowstyle": "->", "color": VERMILION, "linewidth": 1.6},
            zorder=5,
        )
    _legend(fig, shades)
    return fig


def draw_verdicts(
    axes: Axes, boxes: Boxes, states: Sequence[str], texts: Sequence[str] = ()
) -> None:
    """Boxes in the colours of suppression.

    Args:
        axes: drawn on.
        boxes: [N, 4].
        states: of each box: "kept" (green), "struck" (grey, dashed), "current" (vermilion, thick)
            or "waiting" (blue).
        texts: at each box.
    """
    looks = {
        "struck": (GREY, True, 1.0),
        "waiting": (BLUE, False, 1.4),
        "kept": (GREEN, False, 2.4),
        "current": (VERMILION, False, 3.0),
    }
    corners = to_numpy(boxes)
    for state, (shade, dashed, linewidth) in looks.items():
        mine = [i for i, s in enumerate(states) if s == state]
        words = [texts[i] if texts and state != "struck" else "" for i in mine]
        draw_boxes(
            axes, corners[mine].reshape(-1, 4), shade, words, dashed=dashed, linewidth=linewidth
        )
