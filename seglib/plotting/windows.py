"""A window on an image and the patch that it shows, as DeepMask sees them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from seglib.errors import SeglibError
from seglib.plotting.canvas import Canvas, as_rgb, to_numpy
from seglib.plotting.panels import (
    LIGHT,
    Figure,
    bare,
    figure,
    mark_point,
    panel_grid,
    rectangle,
    show_pixels,
    switch_off,
)
from seglib.plotting.style import BLUE, ORANGE, VERMILION, rgb, styled

BEYOND = "#808080"  # what a window shows outside the image


@styled
def show_window(
    image: Any,
    window: Sequence[float],
    views: Mapping[str, Any],
    *,
    box: Sequence[float] | None = None,
    mask: Any = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """A window drawn on its image, and beside it views of its content.

    Args:
        image: float [3, H, W] in 0…1.
        window: (x0, y0, x1, y1) in pixels; may extend beyond the image, where it is grey.
        views: title → image, such as the patch [3, P, P] or masks [M, M] in 0…1.
        box: the box of an object, drawn in orange.
        mask: bool [H, W], painted over the image.
        title: the title of the image's panel.
    """
    fig, grid = figure(1 + len(views), panel=2.1, caption=caption)
    fig.heavy = LIGHT
    picture = as_rgb(image)
    if mask is not None:
        canvas = Canvas(picture, side=512)
        bits = canvas.resize_mask(mask)
        canvas.fill(bits, rgb(0))
        canvas.outline(bits, rgb(0))
        picture = canvas.pixels
    draw_windows(grid[0, 0], picture, as_rgb(image).shape[:2], [window], box)
    grid[0, 0].set_title(title or "Window")
    for axes, (name, view) in zip(list(grid.flat)[1:], views.items(), strict=True):
        show_pixels(axes, view, name)
    return fig


def draw_windows(
    axes: Axes,
    picture: Any,
    size: tuple[int, ...],
    windows: Sequence[Sequence[float]],
    box: Sequence[float] | None = None,
) -> Axes:
    """An image of `size` (H, W), shown as `picture`, with blue windows and their centres.

    The axes are in pixels of the image and extend as far as the windows.
    """
    height, width = size
    corners = to_numpy(windows).astype(float).reshape(-1, 4)
    bare(axes).imshow(as_rgb(picture), extent=(0, width, height, 0), interpolation="antialiased")
    for x0, y0, x1, y1 in corners:
        frame(axes, (x0, y0, x1, y1), BLUE)
        mark_point(axes, (x0 + x1) / 2, (y0 + y1) / 2, BLUE, size=10)
    if box is not None:
        frame(axes, [float(v) for v in box], ORANGE)
    low = np.minimum(corners[:, :2].min(0), 0) - 2
    high = np.maximum(corners[:, 2:].max(0), (width, height)) + 2
    axes.add_patch(rectangle([*low, *high], facecolor=BEYOND, zorder=-1))
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    return axes


def frame(axes: Axes, box: Sequence[float], shade: str, width: float = 2.2) -> None:
    """The outline of a box with a light edge, visible on any image."""
    for color, line in (("white", width + 1.6), (shade, width)):
        axes.add_patch(rectangle(box, fill=False, edgecolor=color, linewidth=line))


@styled
def show_patches(
    images: Any,
    masks: Any = None,
    titles: Sequence[str] = (),
    *,
    columns: int = 8,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Many small patches, each with a mask painted over it and a cross at its centre.

    Args:
        images: float [P, 3, S, S] in 0…1.
        masks: [P, M, M] of any resolution, True or at least 0.5 inside the object.
        titles: one for each patch, or none.
        columns: patches per row.
    """
    pictures = to_numpy(images)
    if masks is not None and len(masks) != len(pictures):
        raise SeglibError(f"{len(pictures)} patches, but {len(masks)} masks: give one for each")
    ncols, nrows = panel_grid(len(pictures), columns)
    panel = min(8.0 / columns, 1.8)
    fig, grid = figure(ncols, nrows, panel=panel, title=title, caption=caption)
    fig.heavy = LIGHT
    for i, axes in enumerate(list(grid.flat)[: len(pictures)]):
        canvas = Canvas(pictures[i], side=round(110 * panel))
        if masks is not None:
            bits = to_numpy(masks[i]) >= 0.5
            factor = canvas.pixels.shape[0] / bits.shape[0]
            steps = ((np.arange(canvas.pixels.shape[0]) + 0.5) / factor).astype(int)
            grown = bits[np.ix_(steps, steps)]
            canvas.fill(grown, rgb(0), 0.4)
            canvas.outline(grown, rgb(0))
        show_pixels(axes, canvas.pixels, titles[i] if i < len(titles) else "")
        middle = canvas.pixels.shape[0] / 2 - 0.5
        axes.plot(middle, middle, "+", color="white", ms=9, mew=3)
        axes.plot(middle, middle, "+", color=VERMILION, ms=8, mew=1.4)
    switch_off(grid, len(pictures))
    return fig
