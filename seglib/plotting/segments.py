"""Semantic and panoptic label maps, with a legend of the classes that occur."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.patches import Patch
from scipy import ndimage

from seglib.counted import counted
from seglib.plotting.canvas import RGB, Bytes, to_numpy
from seglib.plotting.images import compare
from seglib.plotting.overlays import NEUTRAL, class_color, class_name, overlay
from seglib.plotting.panels import (
    Figure,
    figure,
    image_panels,
    panel_height,
    panel_pixels,
    show_pixels,
)
from seglib.plotting.style import GREY, INK, MAP_PALETTE, as_bytes, rgb, styled
from seglib.structures import IGNORE, Categories, Panoptic, Prediction, Target

BACKGROUND_SHADE = (235, 235, 235)
IGNORED_SHADE = (120, 120, 120)


def map_color(label: int) -> RGB:
    """The colour of class `label` where several flat maps are compared: one hue for each class."""
    return as_bytes(MAP_PALETTE[label - 1]) if label <= len(MAP_PALETTE) else class_color(label)


def paint_labels(labels: Any, shade: Callable[[int], RGB] = class_color) -> Bytes:
    """A label map [H, W] as flat colours, uint8 [H, W, 3]; ignored pixels are striped."""
    numbers = to_numpy(labels)
    painted = np.empty((*numbers.shape, 3), np.uint8)
    painted[:] = BACKGROUND_SHADE
    for label in np.unique(numbers):
        if label not in (0, IGNORE):
            painted[numbers == label] = shade(int(label))
    rows, columns = np.indices(numbers.shape)
    painted[(numbers == IGNORE) & ((rows + columns) % 4 < 2)] = IGNORED_SHADE
    return painted


def legend_of_labels(
    axes: Axes,
    labels: Any,
    categories: Categories,
    limit: int = 12,
    left: float = 1.01,
    speck: float = 0.002,
    class_shade: Callable[[int], RGB] = class_color,
    by_label: bool = False,
) -> None:
    """A legend of the classes in a label map, the largest first, or in the order of their labels.

    At most `limit` classes are named, and none below a share of `speck` of the pixels.
    """
    numbers, counts = np.unique(to_numpy(labels), return_counts=True)
    ranked = np.argsort(-counts, kind="stable")[:limit]
    order = [int(numbers[i]) for i in ranked if counts[i] >= speck * counts.sum()]
    order = sorted(order) if by_label else order
    handles = []
    for label in order:
        if label == 0:
            shade, name = BACKGROUND_SHADE, "background"
        elif label == IGNORE:
            shade, name = IGNORED_SHADE, "ignored"
        else:
            shade, name = class_shade(label), class_name(categories, label)
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
    title: str = "A class for each pixel",
    caption: str = "",
) -> Figure:
    """An image, its classes painted over it, and the label map alone with a legend.

    Args:
        image: float [3, H, W] in 0…1.
        labels: [H, W] with 0 for background and 255 for ignored, or a Prediction or Target with
            a semantic map.
        categories: the meaning of the labels.
        title: text above the label map.
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
    title: str = "A class for each pixel, a number for each thing",
    caption: str = "",
) -> Figure:
    """An image beside its panoptic segments: stuff by class, each thing in its own colour."""
    segments = panoptic if isinstance(panoptic, Panoptic) else panoptic.panoptic
    return compare(image, {title: segments}, categories, caption=caption, panel=4.4)


@styled
def score_maps(
    image: Any,
    predictions: Mapping[str, Any],
    truth: Any,
    categories: Categories,
    *,
    mark: Any = None,
    title: str = "",
    caption: str = "",
) -> Figure:
    """The label maps of several networks between the image and the truth, with one legend.

    Colours and the order of the legend depend on the classes' labels alone.

    Args:
        image: float [3, H, W] in 0…1.
        predictions: name, such as "32s", → labels [H, W] or scores [C+1, h, w], whose arg-max is
            shown at its own resolution.
        truth: labels [H, W].
        categories: the meaning of the labels.
        mark: bool [H, W], a region to outline in every panel of that resolution.
    """
    maps = {name: to_numpy(values) for name, values in predictions.items()}
    maps = {name: v.argmax(0) if v.ndim == 3 else v for name, v in maps.items()}
    maps["Truth"] = to_numpy(truth)
    count = len(maps) + 1
    columns = count if count <= 4 else 3
    full = count % columns == 0  # then the legend needs room to the right of the last panel
    width = 10 / (columns + 0.6 * full)
    fig, panels = image_panels(
        image, count, columns=columns, panel=width, title=title, caption=caption
    )
    show_pixels(panels[0], image, "Image")
    for axes, (name, labels) in zip(panels[1:], maps.items(), strict=True):
        show_pixels(axes, paint_labels(labels, map_color), name)
    for axes in panels if mark is not None else []:
        _outline(axes, to_numpy(mark))
    everywhere = np.stack([_enlarged(labels, maps["Truth"].shape) for labels in maps.values()])
    speck = 4 / everywhere.size  # four pixels of one map can be seen, so they are named
    if full:
        place, limit, left = fig.axes[columns - 1], 11, 1.01
    else:  # there is a spare panel, with room for more lines
        place, limit, left = fig.axes[count], 18, 0.0
    legend_of_labels(place, everywhere, categories, limit, left, speck, map_color, by_label=True)
    return fig


def _outline(axes: Axes, mark: Any) -> None:
    """A dark line with a light edge around the region, if the panel has its resolution."""
    if axes.get_images()[0].get_size() == mark.shape and mark.any() and not mark.all():
        for shade, width in (("white", 3.0), (INK, 1.4)):
            axes.contour(mark, levels=[0.5], colors=shade, linewidths=width)


def _enlarged(labels: Any, size: tuple[int, ...]) -> Any:
    """The labels [h, w] repeated to [H, W], so that all maps have the same weight in the legend."""
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, labels.shape, strict=True))
    return labels[rows[:, None], columns]


@styled
def touching_instances(
    image: Any,
    target: Target,
    semantic: Any,
    categories: Categories,
    label: int,
    *,
    title: str = "Touching objects of one class become one region",
    caption: str = "",
) -> Figure:
    """Why a class for each pixel is not enough to count objects.

    Args:
        image: float [3, H, W] in 0…1.
        target: the true objects.
        semantic: [H, W] labels, true or predicted.
        categories: the meaning of the labels.
        label: the class whose objects are counted.
        title: text above the figure.
        caption: text below the figure.
    """
    own = target[target.labels == label]
    regions, found = ndimage.label(to_numpy(semantic) == label, structure=np.ones((3, 3)))
    name = class_name(categories, label)
    objects = counted(len(own), "object")
    fig, panels = image_panels(image, 3, panel=3.3, title=title, caption=caption)
    painted = overlay(
        image,
        own,
        categories,
        layer="instances",
        boxes=False,
        names=False,
        shrink=True,
        side=panel_pixels(3, 3.3),
    )
    show_pixels(panels[0], painted, f"Truth: {objects}")
    only = np.where(to_numpy(semantic) == label, label, 0)
    show_pixels(panels[1], paint_labels(only, lambda _: NEUTRAL), f"Pixels labelled {name}")
    flat = np.full((*regions.shape, 3), 235, np.uint8)
    for number in range(1, found + 1):
        flat[regions == number] = NEUTRAL if found == 1 else rgb(len(own) + number - 1)
    show_pixels(panels[2], flat, f"Connected: {counted(found, 'region')}")
    return fig
