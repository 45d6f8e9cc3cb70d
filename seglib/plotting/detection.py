"""Boxes over an image: anchors, proposals, corrected boxes, and the steps of NMS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.panels import Figure, bare, image_panels, legend_below
from seglib.plotting.pictures import add_picture
from seglib.plotting.style import BLUE, GREEN, GREY, ORANGE, PURPLE, SKY, VERMILION, styled

Boxes = Any  # [N, 4] corners in pixels
Window = tuple[int, int, int, int]  # (x0, y0, x1, y1) in pixels, within the image
SHADES = (VERMILION, SKY, ORANGE, GREEN, PURPLE, BLUE)
HALO = [withStroke(linewidth=3.0, foreground="white")]


@styled
def show_boxes(
    image: Any,
    panels: Mapping[str, Boxes | Mapping[str, Boxes]],
    *,
    names: Mapping[str, Sequence[str]] | None = None,
    shades: Mapping[str, str] | None = None,
    window: Window | None = None,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.3,
) -> Figure:
    """Boxes over an image, with one panel for each set of boxes.

    Args:
        image: float [3, H, W] in 0…1.
        panels: panel title → boxes [N, 4], or → group → boxes. A group has one colour in all
            panels, named in a legend; a group whose name begins with "no" is drawn dashed.
        names: group → a text for each of its boxes, written at the box's upper left corner.
        shades: group → a colour that replaces the usual one.
        window: the part of the image to show.

    Raises:
        SeglibError: no panel, or boxes that are not [N, 4].
    """
    groups = {
        name: dict(found) if isinstance(found, Mapping) else {"": found}
        for name, found in panels.items()
    }
    every = dict.fromkeys(group for found in groups.values() for group in found)
    shade = dict(zip(every, SHADES * (1 + len(every) // len(SHADES)), strict=False))
    shade |= shades or {}
    fig, grid = image_panels(
        _part(image, window),
        len(panels),
        columns=columns,
        panel=panel,
        title=title,
        caption=caption,
    )
    for axes, (name, found) in zip(grid, groups.items(), strict=True):
        picture_under(axes, image, name, window)
        for group, boxes in found.items():
            texts = (names or {}).get(group, ())
            draw_boxes(axes, boxes, shade[group], texts, dashed=_is_dashed(group))
    if named := [group for group in every if group]:
        dashed = tuple(filter(_is_dashed, named))
        legend_below(fig, {group: shade[group] for group in named}, dashed=dashed)
    return fig


def _is_dashed(group: str) -> bool:
    return group.startswith("no")


def _part(image: Any, window: Window | None) -> Any:
    x0, y0, x1, y1 = window or (None, None, None, None)
    return as_rgb(image)[y0:y1, x0:x1]


def picture_under(axes: Axes, image: Any, title: str = "", window: Window | None = None) -> Axes:
    """A pale image under boxes, with the corners of its pixels at integer coordinates."""
    # Under boxes, 32 shades per channel are enough, and they halve the size of the file.
    pixels = as_rgb(image) // 8 * 8 + 4
    height, width = pixels.shape[:2]
    extent = (0.0, float(width), float(height), 0.0)
    add_picture(bare(axes), pixels, extent=extent, interpolation="nearest", alpha=0.8)
    x0, y0, x1, y1 = window or (0, 0, width, height)
    axes.set(xlim=(x0, x1), ylim=(y1, y0), aspect="equal")
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
    """Boxes [N, 4] with a light edge, and a text at each box that has one."""
    corners = to_numpy(boxes).astype(np.float64)
    if corners.ndim != 2 or corners.shape[1] != 4:
        raise SeglibError(f"boxes must be [N, 4], got {list(corners.shape)}")
    many = len(corners) > 40  # then thin, faded lines keep the image visible
    add_outlines(
        axes,
        corners,
        shade,
        linestyles="--" if dashed else "-",
        linewidths=0.6 * linewidth if many else linewidth,
        alpha=0.45 if many else 1.0,
        path_effects=None if many else HALO,
        zorder=3,
    )
    for (left, top, *_), text in zip(corners.tolist(), texts, strict=False):
        if text:
            axes.text(
                left + 1,
                top + 1,
                text,
                color=shade,
                fontsize=8.5,
                fontweight="bold",
                va="top",
                path_effects=HALO,
                clip_on=True,
                zorder=4,
            )


def add_outlines(axes: Axes, corners: NDArray[np.float64], shade: str, **style: Any) -> None:
    """The outlines of boxes [N, 4] as one artist, since many artists take long."""
    x0, y0, x1, y1 = corners.T
    outlines: Any = np.stack([x0, y0, x1, y0, x1, y1, x0, y1], axis=1).reshape(-1, 4, 2)
    axes.add_collection(
        PolyCollection(
            outlines,
            facecolors="none",
            edgecolors=shade,
            capstyle="butt",
            joinstyle="miter",
            **style,
        ),
        autolim=False,
    )


@styled
def show_corrections(
    image: Any,
    boxes: Boxes,
    corrected: Boxes,
    truth: Boxes | None = None,
    *,
    names: tuple[str, str] = ("anchor", "corrected"),
    window: Window | None = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Boxes before (dashed) and after their correction, with arrows between their centres.

    Args:
        image: float [3, H, W] in 0…1.
        boxes: [N, 4].
        corrected: [N, 4].
        truth: [G, 4] true boxes, drawn with wide lines, so that corrected boxes lie on them.
        names: the legend's names of the boxes and the corrected boxes.
        window: the part of the image to show.

    Raises:
        SeglibError: the numbers of boxes differ.
    """
    if len(boxes) != len(corrected):
        raise SeglibError(
            f"{len(boxes)} boxes, but {len(corrected)} corrected boxes: give one for each"
        )
    fig, (axes,) = image_panels(_part(image, window), 1, panel=3.8, caption=caption)
    picture_under(axes, image, title, window)
    shades = {}
    if truth is not None:
        shades["truth"] = GREEN
        draw_boxes(axes, truth, GREEN, linewidth=3.4)
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
            arrowprops={
                "arrowstyle": "-|>,head_length=0.25,head_width=0.15",
                "color": VERMILION,
                "linewidth": 1.6,
                "shrinkA": 0,
                "shrinkB": 0,
            },
            zorder=5,
        )
    legend_below(fig, shades, dashed=names[:1])
    return fig


def draw_nms_states(
    axes: Axes, boxes: Boxes, states: Sequence[str], texts: Sequence[str] = ()
) -> None:
    """Boxes coloured by their state during non-maximum suppression.

    Args:
        axes: an image drawn by `picture_under`.
        boxes: [N, 4].
        states: the state of each box: "kept" (green), "suppressed" (grey, dashed), "current"
            (vermilion, thick) or "waiting" (blue).
        texts: written at the boxes, except for suppressed ones.
    """
    looks = {
        "suppressed": (GREY, True, 1.0),
        "waiting": (BLUE, False, 1.4),
        "kept": (GREEN, False, 2.4),
        "current": (VERMILION, False, 3.0),
    }
    corners = to_numpy(boxes)
    for state, (shade, dashed, linewidth) in looks.items():
        members = [i for i, s in enumerate(states) if s == state]
        words = [texts[i] if texts and state != "suppressed" else "" for i in members]
        draw_boxes(
            axes, corners[members].reshape(-1, 4), shade, words, dashed=dashed, linewidth=linewidth
        )
