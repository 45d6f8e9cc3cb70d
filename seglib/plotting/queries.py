"""A query's predictions: its mask, its classes, its share of a label map, and points of a loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from seglib.plotting.canvas import as_rgb, to_numpy
from seglib.plotting.location_grid import draw_probabilities
from seglib.plotting.panels import (
    LIGHT,
    Figure,
    bare,
    check_some,
    figure,
    image_panels,
    panel_height,
)
from seglib.plotting.style import BLUE, GREY, VERMILION, styled


@styled
def show_query_masks(
    image: Any,
    masks: Any,
    titles: Sequence[str] = (),
    *,
    columns: int | None = None,
    title: str = "",
    caption: str = "",
    panel: float = 2.4,
) -> Figure:
    """Masks of queries over a grey image, one per panel.

    Args:
        image: float [3, H, W] in 0…1.
        masks: [N, h, w] probabilities over the whole image.
        titles: one for each mask, or none.

    Raises:
        SeglibError: no mask.
    """
    count = len(masks)
    fig, grid = image_panels(
        image, count, columns=columns, panel=panel, title=title, caption=caption
    )
    fig.heavy = LIGHT
    for number, axes in enumerate(grid):
        words = titles[number] if number < len(titles) else ""
        draw_probabilities(axes, image, masks[number], words)
    return fig


@styled
def show_query(
    image: Any,
    mask: Any,
    classes: Mapping[str, float],
    share: Any,
    *,
    title: str = "",
    caption: str = "",
) -> Figure:
    """One query: its mask, its class probabilities, and its share of the label map.

    Args:
        image: float [3, H, W] in 0…1.
        mask: [h, w] probabilities.
        classes: class → probability, one bar each, in this order from the top.
        share: [h, w] in 0…1, the part of the winning class's score that comes from this query.

    Raises:
        SeglibError: no class.
    """
    check_some(len(classes), "class")
    size = (3.1, panel_height(image, 3.1))
    fig, grid = figure(3, panel=size, title=title, caption=caption)
    fig.heavy = LIGHT
    left, middle, right = grid[0]
    draw_probabilities(left, image, mask, "its mask")
    _draw_classes(middle, classes)
    draw_probabilities(right, image, share, "its share of the label map")
    return fig


def _draw_classes(axes: Axes, classes: Mapping[str, float]) -> None:
    """Bars from 0 to 1, from the top; "no object" is grey."""
    names, values = list(classes), list(classes.values())
    shades = [GREY if name == "no object" else BLUE for name in names]
    axes.barh(names, values, color=shades, height=0.7)
    axes.set(xlim=(0, 1), title="its classes")
    axes.invert_yaxis()
    axes.tick_params(length=0)


@styled
def show_points(
    image: Any,
    mask: Any,
    panels: Mapping[str, Any],
    *,
    title: str = "",
    caption: str = "",
    panel: float = 3.1,
) -> Figure:
    """A mask over a grey image, with the points at which a loss is computed.

    Args:
        image: float [3, H, W] in 0…1.
        mask: [h, w] probabilities.
        panels: panel title → points [P, 2], x and y in 0…1 of the image's size.

    Raises:
        SeglibError: no panel.
    """
    fig, grid = image_panels(image, len(panels), panel=panel, title=title, caption=caption)
    fig.heavy = LIGHT
    height, width = as_rgb(image).shape[:2]
    for axes, (words, points) in zip(grid, panels.items(), strict=True):
        draw_probabilities(axes, image, mask, words)
        x, y = to_numpy(points).T
        bare(axes).scatter(x * width, y * height, s=3, color=VERMILION, linewidths=0)
        axes.set(xlim=(0, width), ylim=(height, 0))
    return fig
