"""One image and the tasks of the field: from classification to panoptic segmentation."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes

from seglib.plotting.canvas import RGB, Bytes, Canvas
from seglib.plotting.overlays import Layer, class_name, overlay
from seglib.plotting.panels import Figure, image_panels, panel_pixels, show_pixels
from seglib.plotting.style import rgb, styled
from seglib.structures import Categories, Target

COLUMNS, WIDTH = 3, 2.9


@styled
def five_tasks(
    image: Any, target: Target, categories: Categories, *, title: str = "", caption: str = ""
) -> Figure:
    """The image, then the correct answer to each of five tasks.

    An object has one colour in all panels. In the semantic panel a class has the colour of its
    first object, since its objects cannot be told apart there.

    Args:
        image: float [3, H, W] in 0…1.
        target: a target with `semantic`; without `panoptic`, that panel is left out.
        categories: the meaning of the labels.
    """
    layers: dict[Layer, str] = {
        "semantic": "Semantic: what is each pixel?",
        "instances": "Instance: which object is each pixel?",
        "panoptic": "Panoptic: what, and which object?",
    }
    if target.panoptic is None:
        del layers["panoptic"]
    fig, panels = image_panels(
        image, 3 + len(layers), columns=COLUMNS, panel=WIDTH, title=title, caption=caption
    )
    side = panel_pixels(COLUMNS, WIDTH)
    show_pixels(panels[0], image, "The image")
    _show_names(panels[1], image, target, categories)
    boxed = _paint_boxes(image, target, categories, side)
    show_pixels(panels[2], boxed, "Detection: where is each object?")
    for axes, (layer, name) in zip(panels[3:], layers.items(), strict=True):
        show_pixels(axes, _in_object_colors(image, target, categories, layer, side), name)
    return fig


@styled
def task_comparison(
    image: Any, target: Target, categories: Categories, *, title: str = "", caption: str = ""
) -> Figure:
    """One image with its semantic, instance and panoptic annotation.

    An object has one colour in all panels; a class has the colour of its first object.

    Args:
        image: float [3, H, W] in 0…1.
        target: a target with `semantic`; without `panoptic`, that panel is left out.
        categories: the meaning of the labels.
    """
    layers: dict[str, Layer] = {"Semantic: which class?": "semantic"}
    layers["Instance: which objects?"] = "instances"
    if target.panoptic is not None:
        layers["Panoptic: both"] = "panoptic"
    columns = 2 if len(layers) == 3 else len(layers) + 1
    width = 3.9 if columns == 2 else 3.3
    fig, panels = image_panels(
        image, len(layers) + 1, columns=columns, panel=width, title=title, caption=caption
    )
    show_pixels(panels[0], image, "Image")
    side = panel_pixels(columns, width)
    for axes, (name, layer) in zip(panels[1:], layers.items(), strict=True):
        show_pixels(axes, _in_object_colors(image, target, categories, layer, side), name)
    return fig


def _in_object_colors(
    image: Any, target: Target, categories: Categories, layer: Layer, side: int
) -> Bytes:
    """One layer of the target over the image, each object in its own colour."""
    painted = overlay(
        image,
        target,
        categories,
        layer=layer,
        boxes=False,
        names=layer != "instances",
        side=side,
        shrink=True,
        shades=object_shades(target, layer),
    )
    return _name_objects(painted, target, categories) if layer == "instances" else painted


def _name_objects(painted: Bytes, target: Target, categories: Categories) -> Bytes:
    """The classes' names, each inside its object's mask, the largest first."""
    canvas = Canvas(painted, max(painted.shape), size=target.size)
    for i in target.area.argsort(descending=True, stable=True).tolist():
        name = class_name(categories, int(target.labels[i]))
        name += " (crowd)" if target.iscrowd[i] else ""
        canvas.tag_place(name, canvas.widest_place(canvas.resize_mask(target.masks[i])), rgb(i))
    return canvas.pixels


def object_shades(target: Target, layer: Layer) -> dict[int, RGB]:
    """The `shades` of `overlay` that give object i the colour `rgb(i)` in every layer.

    Returns:
        for the semantic layer, label → colour of the first object of that class; for the panoptic
        layer, index of a thing's segment → colour of the object that it overlaps most.
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
    """Classification: the classes that occur, without their places and numbers."""
    labels = sorted(set(target.labels.tolist()))
    names = [class_name(categories, label) for label in labels]
    show_pixels(axes, image, "Classification: what is in it?")
    axes.text(
        0.03,
        0.97,
        "\n".join(names),
        transform=axes.transAxes,
        va="top",
        bbox={"boxstyle": "round,pad=0.4", "facecolor": "white", "alpha": 0.9, "linewidth": 0},
    )


def _paint_boxes(image: Any, target: Target, categories: Categories, side: int) -> Bytes:
    """Boxes and names alone, in the colours of the objects' masks."""
    canvas = Canvas(image, side, shrink=True)
    for i, corners in enumerate(target.boxes):
        canvas.box(corners, rgb(i))
    for i, corners in enumerate(target.boxes):
        name = class_name(categories, int(target.labels[i]))
        canvas.tag(name, corners, rgb(i))
    return canvas.pixels
