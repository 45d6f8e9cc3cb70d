"""One scene, the five answers that the field asks of it: from names to panoptic segments."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from seglib.plotting.canvas import RGB, Bytes, Canvas
from seglib.plotting.images import panel_height, panel_pixels, show_pixels
from seglib.plotting.overlays import Layer, overlay, short_name
from seglib.plotting.style import Figure, figure, rgb, styled, switch_off
from seglib.structures import Categories, Target

COLUMNS, WIDTH = 3, 2.9


@styled
def five_tasks(
    image: Any, target: Target, categories: Categories, *, title: str = "", caption: str = ""
) -> Figure:
    """The image, then the true answer to each of five tasks.

    An object has one colour in all panels. In the semantic one a class has the colour of its
    first object, since there its objects cannot be told apart.

    Args:
        image: float [3, H, W] in 0…1.
        target: with `semantic`; where it has no `panoptic`, that panel is left out.
        categories: what the labels mean.
        title: over all.
        caption: under all.
    """
    size = (WIDTH, panel_height(image, WIDTH))
    fig, grid = figure(COLUMNS, 2, panel=size, title=title, caption=caption)
    panels = list(grid.flat)
    side = panel_pixels(COLUMNS, WIDTH)
    show_pixels(panels[0], image, "The image")
    _show_names(panels[1], image, target, categories)
    show_pixels(panels[2], _boxes(image, target, categories, side), "Detection: where is each?")
    layers: list[tuple[Layer, str]] = [
        ("semantic", "Semantic: what is each pixel?"),
        ("instances", "Instance: whose is each pixel?"),
        ("panoptic", "Panoptic: what, and whose?"),
    ]
    if target.panoptic is None:
        layers.pop()
    for axes, (layer, name) in zip(panels[3:], layers, strict=False):
        painted = overlay(
            image,
            target,
            categories,
            layer=layer,
            boxes=False,
            side=side,
            shrink=True,
            shades=object_shades(target, layer),
        )
        show_pixels(axes, painted, name)
    switch_off(grid, 3 + len(layers))
    return fig


def object_shades(target: Target, layer: Layer) -> dict[int, RGB]:
    """What `overlay` needs so that an object has its colour, `rgb` of its number, in each layer.

    Returns:
        of the semantic layer: label → the colour of the first object of that class; of the
        panoptic one: a thing's place → the colour of the object whose mask it shares most of.
    """
    labels = target.labels.tolist()
    if layer == "semantic":
        return {label: rgb(labels.index(label)) for label in labels}
    if layer != "panoptic" or target.panoptic is None:
        return {}
    shades = {}
    segments = zip(target.panoptic.ids.tolist(), target.panoptic.labels.tolist(), strict=True)
    for place, (number, label) in enumerate(segments):
        region = target.panoptic.segment_map == number
        shared = (target.masks & region).flatten(1).sum(1) * (target.labels == label)  # [N]
        if len(shared) and shared.max() > 0:
            shades[place] = rgb(int(shared.argmax()))
    return shades


def _show_names(axes: Axes, image: Any, target: Target, categories: Categories) -> None:
    """Classification says which classes occur, each once, and nothing of where or how many."""
    labels = sorted(set(target.labels.tolist()))
    names = [short_name(categories.by_label(label).name) for label in labels]
    show_pixels(axes, image, "Classification: what is there?")
    axes.text(
        0.03,
        0.97,
        "\n".join(names),
        transform=axes.transAxes,
        va="top",
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "alpha": 0.9, "linewidth": 0},
    )


def _boxes(image: Any, target: Target, categories: Categories, side: int) -> Bytes:
    """Boxes and names alone, in the colours that the same objects' masks get."""
    canvas = Canvas(image, side, shrink=True)
    for i, corners in enumerate(target.boxes):
        canvas.box(corners, rgb(i))
    for i, corners in enumerate(target.boxes):
        name = short_name(categories.by_label(int(target.labels[i])).name)
        canvas.tag(name, corners, rgb(i))
    return canvas.pixels
