"""All paradigms of the course on one image: the same object has one colour in all panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from seglib.ops.masks import mask_iou
from seglib.plotting.canvas import RGB
from seglib.plotting.overlays import NEUTRAL, Layer, overlay
from seglib.plotting.panels import Figure, image_panels, panel_pixels, show_pixels
from seglib.plotting.style import rgb, styled
from seglib.plotting.tasks import object_shades
from seglib.structures import Categories, Prediction, Target

RICHEST: tuple[Layer, ...] = ("panoptic", "instances", "semantic", "proposals")
SAME = 0.1  # the least IoU at which a mask takes an object's colour


@styled
def show_paradigms(
    image: Any,
    predictions: Mapping[str, Prediction],
    target: Target,
    categories: Categories,
    *,
    min_score: float = 0.5,
    columns: int = 4,
    title: str = "",
    caption: str = "",
    panel: float = 2.4,
) -> Figure:
    """An image, what several models find in it, and the truth, without names.

    Each panel shows the richest output of its model: segments, instances, a label map, or the
    best proposals. A mask has the colour of the true object that it overlaps most, and is grey if
    it overlaps none.

    Args:
        image: float [3, H, W] in 0…1.
        predictions: name of the model → what it predicts.
        target: the truth.
        categories: the meaning of the labels.
        min_score: instances with a lower score are left out.
    """
    count = len(predictions) + 2
    fig, panels = image_panels(
        image, count, columns=columns, panel=panel, title=title, caption=caption
    )
    shared: Any = {"boxes": False, "names": False, "shrink": True}
    shared["side"] = panel_pixels(columns, panel)
    show_pixels(panels[0], image, "Image")
    for axes, (name, prediction) in zip(panels[1:], predictions.items(), strict=False):
        layer = next(field for field in RICHEST if getattr(prediction, field) is not None)
        content = getattr(prediction, layer)
        if layer == "instances":
            content = content[content.scores >= min_score]
        shades = _shades(content, layer, target)
        painted = overlay(
            image,
            prediction,
            categories,
            layer=layer,
            min_score=min_score,
            shades=shades,
            **shared,
        )
        show_pixels(axes, painted, name)
    truth_layer: Layer = "instances" if target.panoptic is None else "panoptic"
    shades = object_shades(target, truth_layer)
    painted = overlay(image, target, categories, layer=truth_layer, shades=shades, **shared)
    show_pixels(panels[-1], painted, "Truth")
    return fig


def _shades(content: Any, layer: Layer, target: Target) -> dict[int, RGB]:
    """The `shades` of `overlay` that give what is found the colours of the true objects."""
    if layer == "semantic":
        return object_shades(target, layer)
    if layer != "panoptic":
        return dict(enumerate(_colors(content.masks, target)))
    masks = content.segment_map == content.ids[:, None, None]  # [S, H, W]
    colors = _colors(masks, target)
    things = set(target.labels.tolist())
    return {n: colors[n] for n, label in enumerate(content.labels.tolist()) if label in things}


def _colors(masks: Tensor, target: Target) -> list[RGB]:
    """For each mask [N, H, W] the colour of the object that it overlaps most, or grey."""
    if not len(target) or not len(masks):
        return [NEUTRAL] * len(masks)
    overlap, objects = mask_iou(masks, target.masks).max(dim=1)  # [N] each
    return [
        rgb(number) if shared >= SAME else NEUTRAL
        for shared, number in zip(overlap.tolist(), objects.tolist(), strict=True)
    ]
