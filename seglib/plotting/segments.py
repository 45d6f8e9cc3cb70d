"""Semantic and panoptic label maps, with a legend of the classes that are there."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Patch

from seglib.plotting.canvas import Bytes, to_numpy
from seglib.plotting.images import panel_height, panel_pixels, show_pixels
from seglib.plotting.overlays import class_color, overlay, short_name
from seglib.plotting.style import GREY, Figure, figure, styled
from seglib.structures import IGNORE, Categories, Panoptic, Prediction, Target

BACKGROUND_SHADE = (235, 235, 235)
IGNORED_SHADE = (120, 120, 120)


def paint_labels(labels: Any) -> Bytes:
    """A label map [H, W] as flat colours, uint8 [H, W, 3]; background pale, ignored striped."""
    numbers = to_numpy(labels)
    painted = np.empty((*numbers.shape, 3), np.uint8)
    painted[:] = BACKGROUND_SHADE
    for label in np.unique(numbers):
        if label not in (0, IGNORE):
            painted[numbers == label] = class_color(int(label))
    rows, columns = np.indices(numbers.shape)
    painted[(numbers == IGNORE) & ((rows + columns) % 4 < 2)] = IGNORED_SHADE
    return painted


def legend_of_labels(
    axes: Axes, labels: Any, categories: Categories, limit: int = 12, left: float = 1.01
) -> None:
    """Name the classes present in a label map beside it, the largest first; specks are left out."""
    numbers, counts = np.unique(to_numpy(labels), return_counts=True)
    ranked = np.argsort(-counts, kind="stable")[:limit]
    order = [int(numbers[i]) for i in ranked if counts[i] >= 0.002 * counts.sum()]
    handles = []
    for label in order:
        if label == 0:
            shade, name = BACKGROUND_SHADE, "background"
        elif label == IGNORE:
            shade, name = IGNORED_SHADE, "ignored"
        else:
            shade, name = class_color(label), short_name(categories.by_label(label).name)
        handles.append(
            Patch(
                facecolor=to_hex(cast(Any, [c / 255 for c in shade])),
                edgecolor=GREY,
                linewidth=0.5,
                label=name,
                hatch="////" if label == IGNORE else None,
            )
        )
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(left, 0.5))


@styled
def show_semantic(
    image: Any,
    labels: Any,
    categories: Categories,
    *,
    title: str = "A class for every pixel",
    caption: str = "",
) -> Figure:
    """An image, the map of its classes over it, and the bare map with a legend.

    Args:
        image: float [3, H, W] in 0…1.
        labels: [H, W] labels with 0 background and 255 ignored, or a Prediction or Target that
            has them.
        categories: what the labels mean.
        title: of the bare map.
        caption: under all.
    """
    if isinstance(labels, (Prediction, Target)):
        labels = labels.semantic
    fig, grid = figure(3, panel=(3.33, panel_height(image, 2.75)), caption=caption)
    show_pixels(grid[0, 0], image, "Image")
    painted = overlay(
        image, labels, categories, names=False, shrink=True, side=panel_pixels(3, 2.75)
    )
    show_pixels(grid[0, 1], painted, "Classes over the image")
    show_pixels(grid[0, 2], paint_labels(labels), title)
    legend_of_labels(grid[0, 2], labels, categories)
    return fig


@styled
def show_panoptic(
    image: Any,
    panoptic: Panoptic | Prediction | Target,
    categories: Categories,
    *,
    title: str = "A class for every pixel, a number for every thing",
    caption: str = "",
) -> Figure:
    """An image beside its panoptic segments: stuff by class, every thing in its own colour."""
    segments = panoptic if isinstance(panoptic, Panoptic) else panoptic.panoptic
    width = 4.4
    fig, grid = figure(2, panel=(width, panel_height(image, width)), caption=caption)
    show_pixels(grid[0, 0], image, "Image")
    painted = overlay(image, segments, categories, shrink=True, side=panel_pixels(2, width))
    show_pixels(grid[0, 1], painted, title)
    return fig
