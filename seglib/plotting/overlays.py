"""Targets and predictions painted over their image, as `seglib predict` saves them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from seglib.errors import SeglibError
from seglib.plotting.canvas import RGB, Bits, Bytes, Canvas, to_numpy
from seglib.plotting.name_places import name_mask
from seglib.plotting.style import rgb
from seglib.structures import IGNORE, Categories, Instances, Panoptic, Prediction, Target

Layer = Literal["instances", "panoptic", "semantic", "proposals"]
LAYERS: tuple[Layer, ...] = ("instances", "panoptic", "semantic", "proposals")
Shades = Mapping[int, RGB]
NEUTRAL: RGB = (110, 110, 110)
SMALLEST_NAMED = 0.004  # share of the image: a smaller region gets no name


def class_color(label: int) -> RGB:
    """The colour of class `label` in every figure of the course; grey for background."""
    return NEUTRAL if label in (0, IGNORE) else rgb(label - 1)


def overlay(
    image: Any,
    result: Prediction | Target | Instances | Panoptic | Any,
    categories: Categories | None = None,
    *,
    layer: Layer | None = None,
    min_score: float = 0.5,
    boxes: bool = True,
    names: bool = True,
    side: int = 512,
    shrink: bool = False,
    shades: Mapping[int, RGB] | None = None,
    by_class: bool = False,
) -> Bytes:
    """Paint masks with outlines, boxes and names over an image.

    Args:
        image: float [3, H, W] in 0…1 or uint8 [H, W, 3].
        result: a Prediction, Target, Instances, Panoptic, or a semantic label map [H, W]. A
            Prediction may be for a smaller or larger copy of the image.
        categories: the meaning of the labels; a Prediction has its own.
        layer: the field of a Prediction or Target to paint; by default the first that is filled
            of instances, panoptic, semantic, proposals.
        min_score: instances with a lower score are left out. Of proposals, the best ten are
            painted.
        boxes: also draw the boxes.
        names: write class names, and the scores of predictions.
        side: a smaller image is enlarged until its longer side has this many pixels.
        shrink: also reduce a larger image to that size, as a panel of a figure needs.
        shades: colours that replace the usual ones, by the index of an instance or a panoptic
            segment, or by the label of a class.
        by_class: give each instance the colour of its class instead of its own.

    Returns:
        uint8 [H', W', 3]; H' = H unless resized.
    """
    if isinstance(result, Prediction):
        categories = categories or result.categories
    chosen, content = choose_layer(result, layer)
    canvas = Canvas(image, side, shrink, result.size if isinstance(result, Prediction) else None)
    if chosen == "semantic":
        _paint_semantic(canvas, to_numpy(content), categories, names, shades or {})
    elif chosen == "panoptic":
        _paint_panoptic(canvas, content, categories, names, shades or {})
    else:
        if chosen == "proposals":
            content, categories = content[slice(0, 10)], None
        elif isinstance(content, Instances):
            content = content[content.scores >= min_score]
        if by_class:
            shades = dict(enumerate(map(class_color, content.labels.tolist())))
        _paint_instances(canvas, content, categories, boxes, names, shades or {})
    return canvas.pixels


def choose_layer(result: Any, layer: Layer | None) -> tuple[Layer, Any]:
    """The layer to paint, and its content."""
    if isinstance(result, Instances):
        return "instances", result
    if isinstance(result, Panoptic):
        return "panoptic", result
    if not isinstance(result, (Prediction, Target)):
        return "semantic", result
    fields: dict[str, Any] = {name: getattr(result, name, None) for name in LAYERS}
    if isinstance(result, Target):
        fields["instances"] = result
    filled = [name for name in LAYERS if fields[name] is not None]
    wanted = layer or (filled[0] if filled else None)
    if wanted is None or fields[wanted] is None:
        raise SeglibError(
            f"nothing to paint: {layer or 'no layer'} is empty; filled: {filled or 'none'}"
        )
    return wanted, fields[wanted]


def class_name(categories: Categories | None, label: int) -> str:
    """The name of a class as figures write it; its number without categories."""
    return str(label) if categories is None else short_name(categories.by_label(label).name)


def short_name(name: str) -> str:
    """COCO's name for a merged stuff class without its suffix: sky-other-merged is sky."""
    return name.removesuffix("-merged").removesuffix("-other")


def _paint_instances(
    canvas: Canvas,
    items: Instances | Target,
    categories: Categories | None,
    boxes: bool,
    names: bool,
    shades: Shades,
) -> None:
    """Large objects first, so that small ones stay visible; names last, on top of everything."""
    corners = to_numpy(items.boxes)
    areas = (corners[:, 2] - corners[:, 0]) * (corners[:, 3] - corners[:, 1])
    order = np.argsort(-areas, kind="stable").tolist()
    crowd = to_numpy(items.iscrowd) if isinstance(items, Target) else np.zeros(len(items), bool)
    shade = [shades.get(i, rgb(i)) for i in range(len(items))]
    if items.masks is not None:
        repeated = {color for color, n in Counter(shades.values()).items() if n > 1}
        _paint_masks(canvas, items.masks, crowd, order, shade, repeated)
    boxes = boxes or items.masks is None
    for i in order if boxes else []:
        canvas.box(corners[i], shade[i])
    for i in order if names else []:
        text = class_name(categories, int(items.labels[i]))
        if isinstance(items, Instances):
            score = f"{float(items.scores[i]):.2f}"
            text = f"{text} {score}" if categories is not None else score
        text += " (crowd)" if crowd[i] else ""
        if items.masks is None:
            canvas.tag(text, corners[i], shade[i])
        else:
            bits = canvas.resize_mask(items.masks[i])
            name_mask(canvas, text, bits, shade[i], corners[i] if boxes else None)


def _paint_masks(
    canvas: Canvas,
    masks: Any,
    crowd: Any,
    order: list[int],
    shade: list[RGB],
    repeated: set[RGB],
) -> None:
    """Masks in this order; a colour that is given repeatedly tints each pixel only once."""
    tinted: dict[RGB, Bits] = {}
    for i in order:
        bits = canvas.resize_mask(masks[i])
        if crowd[i]:
            canvas.hatch(bits, shade[i])
        else:
            before = tinted.get(shade[i], np.zeros_like(bits))
            canvas.fill(bits & ~before, shade[i])
            if shade[i] in repeated:
                tinted[shade[i]] = bits | before
        canvas.outline(bits, shade[i])


def _paint_semantic(
    canvas: Canvas, labels: Any, categories: Categories | None, names: bool, shades: Shades
) -> None:
    """One class at a time: a photograph's masks of all classes would fill gigabytes."""
    tags = []
    for label in np.unique(labels).tolist():
        if label == 0:
            continue
        bits = canvas.resize_mask(labels == label)
        if label == IGNORE:
            canvas.hatch(bits, NEUTRAL)
            continue
        shade = shades.get(label, class_color(label))
        canvas.fill(bits, shade, 0.6)
        canvas.outline(bits, shade)
        if names and bits.mean() >= SMALLEST_NAMED:
            tags.append((class_name(categories, label), canvas.widest_place(bits), shade))
    for text, place, shade in tags:
        canvas.tag_place(text, place, shade)


def _paint_panoptic(
    canvas: Canvas,
    panoptic: Panoptic,
    categories: Categories | None,
    names: bool,
    shades: Shades,
) -> None:
    """Stuff in the colour of its class, each thing in a colour of its own; one mask at a time."""

    def bits_of(number: int) -> Bits:
        return canvas.resize_mask(panoptic.segment_map == panoptic.ids[number])

    outlines: list[tuple[int, RGB]] = []
    tags: list[tuple[int, str, tuple[int, int], RGB]] = []
    things = 0
    for number in range(len(panoptic)):
        label = int(panoptic.labels[number])
        thing = categories is None or categories.by_label(label).is_thing
        shade = shades.get(number, rgb(things) if thing else class_color(label))
        things += thing
        bits = bits_of(number)
        canvas.fill(bits, shade, 0.6)
        outlines.append((number, shade))
        if names and bits.mean() >= SMALLEST_NAMED:
            text = class_name(categories, label)
            tags.append((int(bits.sum()), text, canvas.widest_place(bits), shade))
    for number, shade in outlines:
        canvas.outline(bits_of(number), shade)
    for _, text, place, shade in sorted(tags, key=lambda tag: -tag[0]):  # large ones first
        canvas.tag_place(text, place, shade)
