"""Images with their annotations and predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from seglib.plotting.canvas import to_numpy
from seglib.plotting.matched import matched_shades
from seglib.plotting.overlays import Layer, overlay
from seglib.plotting.panels import (
    Figure,
    bare,
    figure,
    image_panels,
    mark_point,
    panel_grid,
    panel_height,
    panel_pixels,
    show_pixels,
)
from seglib.plotting.style import MAX_WIDTH, PANEL, SEQUENTIAL, VERMILION, styled
from seglib.structures import Categories, Prediction, Target

Painted = Prediction | Target | Any  # or Instances, Panoptic, a label map [H, W]


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
    """Images side by side, by default at most four per row.

    Args:
        images: each float [3, H, W] or [H, W] in 0…1, or uint8 [H, W, 3].
        titles: one for each image, or none.
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
    values: Any,
    title: str = "",
    *,
    caption: str = "",
    label: str = "",
    cmap: str = SEQUENTIAL,
    mark: tuple[int, int] | None = None,
) -> Figure:
    """One map of numbers [H, W] with a colour bar, and a cross in the cell `mark`: row, column."""
    fig, grid = figure(panel=(4.6, 3.6), caption=caption)
    picture = bare(grid[0, 0]).imshow(to_numpy(values), cmap=cmap, interpolation="nearest")
    grid[0, 0].set_title(title)
    if mark is not None:
        mark_point(grid[0, 0], mark[1], mark[0], VERMILION, 8)
    fig.colorbar(picture, ax=grid[0, 0], label=label, shrink=0.85)
    return fig


@styled
def show_sample(
    image: Any,
    target: Target,
    categories: Categories,
    *,
    title: str = "Annotation",
    caption: str = "",
) -> Figure:
    """An image beside its annotated masks, boxes and class names."""
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
    title: str = "Prediction",
    caption: str = "",
) -> Figure:
    """An image beside a model's prediction."""
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
    by_class: bool = False,
    boxes: bool = True,
    like: Target | None = None,
) -> Figure:
    """An image, and beside it each of several results painted over the image.

    Args:
        image: float [3, H, W] in 0…1.
        results: panel title → Target, Prediction, Instances, Panoptic or label map [H, W].
        categories: the meaning of the labels; a Prediction has its own.
        layer: the field to paint; by default the first that is filled.
        min_score: instances with a lower score are left out.
        by_class: give each instance the colour of its class, the same in all panels.
        boxes: also draw the boxes.
        like: the truth; each prediction has the colour of the true object that it overlaps most.
    """
    count = len(results) + 1
    columns = count if count <= 4 else 3
    fig, panels = image_panels(
        image, count, columns=columns, panel=panel, title=title, caption=caption
    )
    show_pixels(panels[0], image, "Image")
    shared: Any = {"layer": layer, "min_score": min_score, "by_class": by_class}
    shared |= {"boxes": boxes, "side": panel_pixels(columns, panel), "shrink": True}
    for axes, (name, result) in zip(panels[1:], results.items(), strict=True):
        if like is not None:
            shared["shades"] = matched_shades(result, like, layer, min_score)
        painted = overlay(image, result, categories, **shared)
        show_pixels(axes, painted, name)
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
        dataset: yields (image, Target) by index and has `categories`.
        indices: the images to show, or how many of the first.
        layer: the field of each target to paint; None shows the images alone.
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
