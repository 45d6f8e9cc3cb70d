"""Grids of windows at several scales: their labels for an object, and their scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from seglib.errors import SeglibError
from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.panels import (
    LIGHT,
    Figure,
    bare,
    figure,
    image_panels,
    panel_grid,
    panel_height,
    switch_off,
)
from seglib.plotting.style import BLUE, GREEN, GREY, ORANGE, PALE, PURPLE, SEQUENTIAL, styled
from seglib.plotting.windows import frame

LABELS = {1: ("positive", GREEN), 0: ("not used", PURPLE), -1: ("negative", GREY)}


@styled
def show_window_labels(
    image: Any,
    scales: Mapping[str, tuple[Any, Any]],
    box: Sequence[float],
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Which windows of several scales are positive, negative or unused for one object.

    A dot marks the centre of each window; the dashed square around the object has the size of
    the panel's windows.

    Args:
        image: float [3, H, W] in 0…1.
        scales: panel title → (windows [h, w, 4] in pixels of the image, labels [h, w] of 1, 0, -1).
        box: the object's (x0, y0, x1, y1).

    Raises:
        SeglibError: no scale, or windows and labels of other shapes.
    """
    picture, (height, width) = as_rgb(image), as_rgb(image).shape[:2]
    panel = 2.8
    fig, panels = image_panels(
        image, len(scales), columns=len(scales), panel=panel, title=title, caption=caption
    )
    fig.heavy = LIGHT
    for axes, (name, pair) in zip(panels, scales.items(), strict=True):
        windows, labels = _scale(name, *pair)
        corners, marks = windows.reshape(-1, 4), labels.reshape(-1)
        bare(axes).imshow(picture, extent=(0, width, height, 0), alpha=0.55)
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        between = panel * 72 * np.ptp(middle[:, 0]) / (width * windows.shape[1])  # points
        small = float(np.clip(0.4 * between, 1.5, 4.5))
        for value, (word, shade) in reversed(LABELS.items()):
            chosen = middle[marks == value]
            size = small + 2 * (value + 1)  # rarer labels get larger dots
            axes.plot(
                *chosen.T, "o", color=shade, ms=size, mec="white", mew=0.13 * small, label=word
            )
        frame(axes, [float(v) for v in box], ORANGE)
        side = float(corners[0, 2] - corners[0, 0])
        axes.add_patch(_size_of_window(box, side))
        axes.set_title(f"{name}\n{int((marks > 0).sum())} positive of {len(marks)}")
    _set_limits(panels, (width, height))
    handles, words = panels[0].get_legend_handles_labels()
    fig.legend(handles, words, loc="outside lower center", ncols=3)
    return fig


def _size_of_window(box: Sequence[float], side: float) -> Rectangle:
    """The outline of a window with an object in its middle."""
    x, y = ((box[axis] + box[axis + 2] - side) / 2 for axis in (0, 1))
    return Rectangle((x, y), side, side, fill=False, edgecolor=BLUE, linestyle="--", linewidth=1.4)


def _set_limits(panels: Sequence[Axes], size: tuple[int, int]) -> None:
    """The same limits for all panels: the image (W, H) and, up to a quarter more, the windows."""
    squares = [p for axes in panels for p in axes.patches if isinstance(p, Rectangle)]
    corners = [square.get_bbox().get_points() for square in squares]  # each [2, 2]
    lengths = np.array(size)
    low = np.clip(np.min(corners, (0, 1)), -lengths / 4, 0) - 3
    high = np.clip(np.max(corners, (0, 1)), lengths, 1.25 * lengths) + 3
    for axes in panels:
        axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))


@styled
def show_window_scores(
    image: Any,
    scales: Mapping[str, tuple[Any, Any]],
    boxes: Any = (),
    *,
    columns: int = 3,
    title: str = "",
    caption: str = "",
) -> Figure:
    """The scores of all windows at the windows' centres, one panel per scale.

    Args:
        image: float [3, H, W] in 0…1, shown in grey.
        scales: panel title → (windows [h, w, 4] in pixels of the image, scores [h, w] in 0…1).
        boxes: [N, 4] of the true objects, drawn with thin lines.
        columns: panels per row.

    Raises:
        SeglibError: no scale, or windows and scores of other shapes.
    """
    grey = as_rgb(image).mean(-1)
    height, width = grey.shape
    ncols, nrows = panel_grid(len(scales), columns)
    panel = 6.6 / ncols  # the colour bar takes a further ninth of the width
    size = (panel, panel_height(image, 0.86 * panel))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    fig.heavy = LIGHT
    for axes, (name, pair) in zip(grid.flat, scales.items(), strict=False):
        corners, values = _scale(name, *pair)
        bare(axes).imshow(grey, cmap="Greys_r", extent=(0, width, height, 0), vmin=-90, vmax=300)
        axes.imshow(
            values,
            extent=map_extent(corners),
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1,
            alpha=0.25 + 0.6 * np.sqrt(values.clip(0, 1)),
            interpolation="nearest",
        )
        for box in to_numpy(boxes).reshape(-1, 4).tolist() if len(boxes) else []:
            frame(axes, box, PALE, 1.0)
        axes.set(xlim=(0, width), ylim=(height, 0))
        side = corners[0, 0, 2] - corners[0, 0, 0]
        axes.set_title(f"{name}: {side:.0f} px windows", fontsize=9.5)
    switch_off(grid, len(scales))
    heat = ScalarMappable(Normalize(0, 1), SEQUENTIAL)
    fig.colorbar(heat, ax=list(grid.flat), label="score", shrink=0.6)
    return fig


def _scale(name: str, windows: Any, values: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The windows [h, w, 4] of a scale and their values [h, w]; SeglibError for other shapes."""
    corners, numbers = to_numpy(windows), to_numpy(values)
    if corners.size == 0 or corners.shape != (*numbers.shape, 4) or numbers.ndim != 2:
        raise SeglibError(
            f"{name!r} needs windows [h, w, 4] and one value for each, [h, w], got "
            f"{list(corners.shape)} and {list(numbers.shape)}"
        )
    return corners, numbers


def map_extent(corners: Any) -> tuple[float, float, float, float]:
    """(left, right, bottom, top) that centres each cell of a [h, w] map on its window."""
    middle = (corners[..., :2] + corners[..., 2:]) / 2
    (rows, columns), first, last = middle.shape[:2], middle[0, 0], middle[-1, -1]
    step = (last - first) / np.maximum((columns - 1, rows - 1), 1)
    step = np.where(step == 0, corners[0, 0, 2] - corners[0, 0, 0], step)
    left, top = first - step / 2
    right, bottom = last + step / 2
    return float(left), float(right), float(bottom), float(top)
