"""All paradigms of the course on one image: the same object has one colour in all panels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from seglib.plotting.matched import matched_shades
from seglib.plotting.overlays import Layer, overlay
from seglib.plotting.panels import Figure, image_panels, panel_pixels, show_pixels
from seglib.plotting.style import styled
from seglib.plotting.tasks import object_shades
from seglib.structures import Categories, Prediction, Target

RICHEST: tuple[Layer, ...] = ("panoptic", "instances", "semantic", "proposals")


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
    """An image, what several models find in it, and the truth; only the truth has names.

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
        shades = matched_shades(prediction, target, layer, min_score)
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
    shared["names"] = True
    painted = overlay(image, target, categories, layer=truth_layer, shades=shades, **shared)
    show_pixels(panels[-1], painted, "Truth")
    return fig
