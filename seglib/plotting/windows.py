"""A window on an image: where it lies, what it shows, what it answers, and what it is taught."""

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
from seglib.plotting.canvas import Canvas, as_rgb, to_numpy
from seglib.plotting.images import panel_height, show_pixels
from seglib.plotting.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PALE,
    PURPLE,
    SEQUENTIAL,
    VERMILION,
    Figure,
    bare,
    figure,
    panel_grid,
    rgb,
    styled,
    switch_off,
)

LIGHT = 40_000  # bytes: a lesson shows many of these pictures
BEYOND = "#808080"  # what a window sees where there is no picture
VERDICTS = {1: ("positive", GREEN), 0: ("not used", PURPLE), -1: ("negative", GREY)}


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
    """A window drawn on its image, and beside it what is seen or said inside.

    Args:
        image: float [3, H, W] in 0…1.
        window: (x0, y0, x1, y1) in pixels; it may reach beyond the image, where it is grey.
        views: title → picture: the patch [3, P, P], masks [M, M] in 0…1.
        box: of an object, drawn in orange.
        mask: bool [H, W], painted over the image.
        title: of the image's panel.
        caption: under all.
    """
    fig, grid = figure(1 + len(views), panel=2.1, caption=caption)
    fig.heavy = LIGHT
    picture = as_rgb(image)
    if mask is not None:
        canvas = Canvas(picture, side=512)
        bits = canvas.grow(mask)
        canvas.fill(bits, rgb(0))
        canvas.outline(bits, rgb(0))
        picture = canvas.pixels
    draw_windows(grid[0, 0], picture, as_rgb(image).shape[:2], [window], box)
    grid[0, 0].set_title(title or "the window")
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
    """A picture of an image of `size` (H, W) with windows in blue and a cross in their middles.

    The axes count in the image's pixels and reach as far as the windows do.
    """
    height, width = size
    corners = to_numpy(windows).astype(float).reshape(-1, 4)
    bare(axes).imshow(as_rgb(picture), extent=(0, width, height, 0), interpolation="antialiased")
    for x0, y0, x1, y1 in corners:
        frame(axes, (x0, y0, x1, y1), BLUE)
        axes.plot((x0 + x1) / 2, (y0 + y1) / 2, "+", color="white", ms=12, mew=4)
        axes.plot((x0 + x1) / 2, (y0 + y1) / 2, "+", color=BLUE, ms=10, mew=2)
    if box is not None:
        frame(axes, tuple(float(v) for v in box), ORANGE)
    low = np.minimum(corners[:, :2].min(0), 0) - 2
    high = np.maximum(corners[:, 2:].max(0), (width, height)) + 2
    axes.add_patch(Rectangle(tuple(low), *(high - low), facecolor=BEYOND, zorder=-1))
    axes.set(xlim=(low[0], high[0]), ylim=(high[1], low[1]))
    return axes


def frame(axes: Axes, box: tuple[float, ...], shade: str, width: float = 2.2) -> None:
    """A rectangle (x0, y0, x1, y1) with a thin light edge, so that it shows on any picture."""
    x0, y0, x1, y1 = box
    for color, line in (("white", width + 1.6), (shade, width)):
        axes.add_patch(
            Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=color, linewidth=line)
        )


@styled
def show_window_labels(
    image: Any,
    scales: Mapping[str, tuple[Any, Any]],
    box: Sequence[float],
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """Which of the windows of several scales are positive, negative or unused for one object.

    One dot stands in the middle of each window; a dashed square about the object shows how
    large the windows of the panel are.

    Args:
        image: float [3, H, W] in 0…1.
        scales: panel title → (windows [h, w, 4] in pixels of the image, labels [h, w] of 1, 0, -1).
        box: the object's (x0, y0, x1, y1).
        title: over all.
        caption: under all.

    Raises:
        SeglibError: no scale, or windows and labels of other shapes.
    """
    picture, (height, width) = as_rgb(image), as_rgb(image).shape[:2]
    panel = 2.8
    fig, grid = figure(
        len(scales), panel=(panel, panel_height(image, panel)), title=title, caption=caption
    )
    fig.heavy = LIGHT
    for axes, (name, pair) in zip(grid.flat, scales.items(), strict=True):
        windows, labels = _scale(name, *pair)
        corners, marks = windows.reshape(-1, 4), labels.reshape(-1)
        bare(axes).imshow(picture, extent=(0, width, height, 0), alpha=0.55)
        middle = (corners[:, :2] + corners[:, 2:]) / 2
        between = panel * 72 * np.ptp(middle[:, 0]) / (width * windows.shape[1])  # points
        small = float(np.clip(0.4 * between, 1.5, 4.5))
        for value, (word, shade) in reversed(VERDICTS.items()):
            chosen = middle[marks == value]
            size = small + 2 * (value + 1)  # what is rarer is larger
            axes.plot(
                *chosen.T, "o", color=shade, ms=size, mec="white", mew=0.13 * small, label=word
            )
        frame(axes, tuple(float(v) for v in box), ORANGE)
        side = float(corners[0, 2] - corners[0, 0])
        axes.add_patch(_size_of_window(box, side, (width, height)))
        axes.set(xlim=(-3, width + 3), ylim=(height + 3, -3))
        axes.set_title(f"{name}\n{int((marks > 0).sum())} positive of {len(marks)}")
    handles, words = grid[0, 0].get_legend_handles_labels()
    fig.legend(handles, words, loc="outside lower center", ncols=3)
    return fig


def _size_of_window(box: Sequence[float], side: float, size: tuple[int, int]) -> Rectangle:
    """The outline of a window about an object, moved into the picture (W, H) as far as it fits."""
    places = []
    for axis, length in enumerate(size):
        low, high = sorted((0.0, length - side))
        places.append(float(np.clip((box[axis] + box[axis + 2] - side) / 2, low, high)))
    x, y = places
    return Rectangle((x, y), side, side, fill=False, edgecolor=BLUE, linestyle="--", linewidth=1.4)


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
    """Many small patches, each with a mask painted over it and a cross in the middle.

    Args:
        images: float [P, 3, S, S] in 0…1.
        masks: [P, M, M] of any resolution, True or ≥ 0.5 inside; empty ones leave the patch bare.
        titles: one for each patch, or none.
        columns: patches in a row.
        title: over all.
        caption: under all.
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
    """The scores of all windows, one panel a scale, each where its window's middle lies.

    Args:
        image: float [3, H, W] in 0…1, shown grey underneath.
        scales: panel title → (windows [h, w, 4] in pixels of the image, scores [h, w] in 0…1).
        boxes: [N, 4] of the true objects, drawn thin.
        columns: panels in a row.
        title: over all.
        caption: under all.

    Raises:
        SeglibError: no scale, or windows and scores of other shapes.
    """
    grey = as_rgb(image).mean(-1)
    height, width = grey.shape
    ncols, nrows = panel_grid(len(scales), columns)
    panel = 6.6 / ncols  # and a ninth of the width for the colour bar
    size = (panel, panel_height(image, 0.86 * panel))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    fig.heavy = LIGHT
    for axes, (name, pair) in zip(grid.flat, scales.items(), strict=False):
        corners, values = _scale(name, *pair)
        bare(axes).imshow(grey, cmap="Greys_r", extent=(0, width, height, 0), vmin=-90, vmax=300)
        axes.imshow(
            values,
            extent=_extent(corners),
            cmap=SEQUENTIAL,
            vmin=0,
            vmax=1,
            alpha=0.25 + 0.6 * np.sqrt(values.clip(0, 1)),
            interpolation="nearest",
        )
        for box in to_numpy(boxes).reshape(-1, 4).tolist() if len(boxes) else []:
            frame(axes, tuple(box), PALE, 1.0)
        axes.set(xlim=(0, width), ylim=(height, 0))
        side = corners[0, 0, 2] - corners[0, 0, 0]
        axes.set_title(f"{name}: {side:.0f} px windows", fontsize=9.5)
    switch_off(grid, len(scales))
    heat = ScalarMappable(Normalize(0, 1), SEQUENTIAL)
    fig.colorbar(heat, ax=list(grid.flat), label="score", shrink=0.6)
    return fig


def _scale(name: str, windows: Any, values: Any) -> tuple[NDArray[Any], NDArray[Any]]:
    """The windows [h, w, 4] of one scale and their values [h, w]; SeglibError for other shapes."""
    corners, numbers = to_numpy(windows), to_numpy(values)
    if corners.size == 0 or corners.shape != (*numbers.shape, 4) or numbers.ndim != 2:
        raise SeglibError(
            f"{name!r} needs windows [h, w, 4] with a value each, [h, w], got "
            f"{list(corners.shape)} and {list(numbers.shape)}"
        )
    return corners, numbers


def _extent(corners: Any) -> tuple[float, float, float, float]:
    """Where a [h, w] map must be drawn so that its cells lie around their windows' middles."""
    middle = (corners[..., :2] + corners[..., 2:]) / 2
    (rows, columns), first, last = middle.shape[:2], middle[0, 0], middle[-1, -1]
    step = (last - first) / np.maximum((columns - 1, rows - 1), 1)
    step = np.where(step == 0, corners[0, 0, 2] - corners[0, 0, 0], step)
    left, top = first - step / 2
    right, bottom = last + step / 2
    return float(left), float(right), float(bottom), float(top)
