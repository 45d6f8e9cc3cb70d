"""The receptive field of a cell, in theory and as measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.grids import mark_block
from seglib.plotting.panels import Figure, figure, image_panels, mark_point, show_pixels
from seglib.plotting.style import BLUE, GREY, INK, VERMILION, color, styled


@styled
def show_receptive_field(
    image: Any,
    box: Sequence[float],
    heat: Any = None,
    *,
    position: tuple[float, float] | None = None,
    inner: Sequence[float] | None = None,
    title: str = "What one output cell sees",
    caption: str = "",
) -> Figure:
    """The theoretical receptive field as a box, and the measured one as a heat map.

    Args:
        image: float [3, H, W] in 0…1.
        box: (x0, y0, x1, y1) in pixels; may extend beyond the image.
        heat: [H, W] influence of each pixel on the output (a gradient), or None.
        position: (x, y) of the output cell's centre.
        inner: a smaller box, dashed in the heat map.
        title: text above the box.
    """
    fig, panels = image_panels(image, 1 if heat is None else 2, panel=4.0, caption=caption)
    x0, y0, x1, y1 = box
    for axes in panels:
        show_pixels(axes, image)
        mark_block(axes, (y0, x0), (y1 - y0, x1 - x0), VERMILION)
        if position is not None:
            mark_point(axes, position[0] - 0.5, position[1] - 0.5, BLUE, size=11)
    panels[0].set_title(title)
    if heat is not None:
        strength = np.abs(to_numpy(heat).astype(np.float64))
        strength = np.sqrt(strength / max(float(strength.max()), 1e-12))
        panels[1].imshow(strength, cmap="inferno", alpha=np.clip(2 * strength, 0, 0.9))
        panels[1].set_title("Influence of each pixel")
        panels[1].spines[:].set(visible=True, color=GREY)
        if inner is not None:
            left, top, right, bottom = inner
            size = (bottom - top, right - left)
            mark_block(panels[1], (top, left), size, INK, 1.4, linestyle="--")
    return fig


@styled
def show_field_growth(
    fields: Sequence[float],
    strides: Sequence[float],
    image: Any = None,
    *,
    title: str = "The receptive field grows layer by layer",
    caption: str = "",
) -> Figure:
    """The receptive field after each layer, as bars and as nested squares.

    Args:
        fields: side of the receptive field after layer 1, 2, … in pixels.
        strides: pixels from one cell to the next after each layer.
        image: the squares are centred on it; by default a blank 128 x 128 image.
    """
    picture = np.full((128, 128), 0.93) if image is None else image
    fig, grid = figure(2, panel=(4.2, 3.4), title=title, caption=caption)
    bars, scene = grid[0]
    names = [f"layer {i}" for i in range(1, len(fields) + 1)]
    bars.barh(names, fields, color=[color(i) for i in range(len(fields))], height=0.65)
    for row, (field, stride) in enumerate(zip(fields, strides, strict=True)):
        bars.text(field, row, f" {field:g} px, stride {stride:g} px", va="center", fontsize=8.5)
    bars.set(xlabel="receptive field (px)", xlim=(0, 1.75 * max(fields)))
    bars.invert_yaxis()
    bars.tick_params(axis="y", length=0)
    show_pixels(scene, picture, "Around one cell")
    height, width = as_rgb(picture).shape[:2]
    for i, field in reversed(list(enumerate(fields))):
        corner = ((height - field) / 2, (width - field) / 2)
        mark_block(scene, corner, (field, field), color(i), linewidth=2)
    scene.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    return fig
