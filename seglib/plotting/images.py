"""Images, and what is true or predicted of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.overlays import Layer, overlay
from seglib.plotting.style import (
    DPI,
    EDGE,
    MAX_WIDTH,
    PANEL,
    SEQUENTIAL,
    Figure,
    bare,
    figure,
    panel_grid,
    styled,
    switch_off,
)
from seglib.structures import Categories, Prediction, Target

Painted = Prediction | Target | Any  # or Instances, Panoptic, a label map [H, W]


def show_pixels(axes: Axes, pixels: Any, title: str = "") -> Axes:
    """Put one picture on bare axes; small pictures keep their square pixels."""
    drawn = as_rgb(pixels)
    smooth = "antialiased" if max(drawn.shape) > 200 else "nearest"
    bare(axes).imshow(drawn, interpolation=smooth)
    axes.set_title(title)
    return axes


def panel_height(image: Any, width: float) -> float:
    """Height in inches of a panel `width` inches wide that fits the image."""
    height, columns = as_rgb(image).shape[:2]
    return width * min(1.15, height / columns)


def panel_pixels(columns: int, width: float) -> int:
    """The pixels a panel will have: overlays are drawn at that size, so their letters are sharp."""
    return round((min(width, MAX_WIDTH / columns) - 2 * EDGE) * DPI)


@styled
def show_images(
    images: Sequence[Any],
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = PANEL,
) -> Figure:
    """Images side by side, at most four in a row.

    Args:
        images: each float [3, H, W] or [H, W] in 0…1, or uint8 [H, W, 3].
        titles: one for each image, or none.
        columns: images in a row.
        title: over all.
        caption: under all.
        panel: width of one image in inches.
    """
    ncols, nrows = panel_grid(len(images), columns)
    size = (panel, max(panel_height(image, panel) for image in images))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    for i, axes in enumerate(grid.flat):
        if i < len(images):
            show_pixels(axes, images[i], titles[i] if i < len(titles) else "")
        else:
            axes.set_axis_off()
    return fig


@styled
def show_heatmap(
    values: Any, title: str = "", *, caption: str = "", label: str = "", cmap: str = SEQUENTIAL
) -> Figure:
    """One map of numbers [H, W] with its colour bar."""
    fig, grid = figure(panel=(4.6, 3.6), caption=caption)
    picture = bare(grid[0, 0]).imshow(to_numpy(values), cmap=cmap, interpolation="nearest")
    grid[0, 0].set_title(title)
    fig.colorbar(picture, ax=grid[0, 0], label=label, shrink=0.85)
    return fig


@styled
def show_sample(
    image: Any,
    target: Target,
    categories: Categories,
    *,
    title: str = "What the annotation says",
    caption: str = "",
) -> Figure:
    """An image beside its annotated masks, boxes and names."""
    return compare(
        image, {title: target}, categories, layer="instances", caption=caption, panel=4.4
    )


@styled
def show_prediction(
    image: Any,
    prediction: Painted,
    categories: Categories | None = None,
    *,
    layer: Layer | None = None,
    min_score: float = 0.5,
    title: str = "Predicted",
    caption: str = "",
) -> Figure:
    """An image beside what a model says of it."""
    return compare(
        image,
        {title: prediction},
        categories,
        layer=layer,
        min_score=min_score,
        caption=caption,
        panel=4.4,
    )


@styled
def compare(
    image: Any,
    results: Mapping[str, Painted],
    categories: Categories | None = None,
    *,
    layer: Layer | None = None,
    min_score: float = 0.5,
    title: str = "",
    caption: str = "",
    panel: float = 3.3,
) -> Figure:
    """An image, then each of several answers painted over it: truth first, then models.

    Args:
        image: float [3, H, W] in 0…1.
        results: panel title → Target, Prediction, Instances, Panoptic or label map [H, W].
        categories: what the labels mean; Predictions know their own.
        layer: which field to paint; by default the first filled.
        min_score: instances below it are left out.
        title: over all.
        caption: under all.
        panel: width of one panel in inches.
    """
    count = len(results) + 1
    ncols, nrows = panel_grid(count, None if count <= 4 else 3)
    size = (panel, panel_height(image, panel))
    fig, grid = figure(ncols, nrows, panel=size, title=title, caption=caption)
    show_pixels(grid[0, 0], image, "Image")
    for axes, (name, result) in zip(list(grid.flat)[1:], results.items(), strict=False):
        side = panel_pixels(ncols, panel)
        painted = overlay(
            image, result, categories, layer=layer, min_score=min_score, side=side, shrink=True
        )
        show_pixels(axes, painted, name)
    switch_off(grid, count)
    return fig


@styled
def dataset_grid(
    dataset: Any,
    indices: Sequence[int] | int = 8,
    *,
    layer: Layer | None = "instances",
    title: str = "",
    caption: str = "",
    columns: int = 4,
) -> Figure:
    """Annotated images of a dataset.

    Args:
        dataset: gives (image, Target) by index and has `.categories`.
        indices: which images, or how many from the first.
        layer: what to paint of each target; None for the bare images.
        title: over all.
        caption: under all.
        columns: images in a row.
    """
    chosen = range(min(indices, len(dataset))) if isinstance(indices, int) else indices
    width = MAX_WIDTH / columns
    pictures = []
    for index in chosen:
        image, target = dataset[index]
        if layer is not None:
            side = panel_pixels(columns, width)
            image = overlay(
                image, target, dataset.categories, layer=layer, boxes=False, side=side, shrink=True
            )
        pictures.append(image)
    return show_images(pictures, columns=columns, title=title, caption=caption, panel=width)
