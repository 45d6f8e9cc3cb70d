"""All paradigms of the course on the same images: an object has one colour in all its panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seglib.plotting.canvas import Bytes
from seglib.plotting.matched import matched_shades
from seglib.plotting.overlays import Layer, overlay
from seglib.plotting.panels import (
    MAX_WIDTH,
    Figure,
    bare,
    figure,
    image_panels,
    panel_height,
    panel_pixels,
    show_pixels,
)
from seglib.plotting.style import DPI, styled
from seglib.plotting.tasks import object_shades
from seglib.structures import Categories, Prediction, Target

RICHEST: tuple[Layer, ...] = ("panoptic", "instances", "semantic", "proposals")
FINE = 160  # dots per inch of a figure with many narrow columns
NARROW = 1.0  # inches: the widest column there
SMALL = 8.5  # points: names of rows, which must not meet


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
    """An image, the predictions of several models, and the truth; only the truth has names.

    Args:
        image: float [3, H, W] in 0…1.
        predictions: name of the model → what it predicts; painted by `paint_prediction`.
        target: the truth.
        categories: the meaning of the labels.
        min_score: instances with a lower score are left out.
    """
    count = len(predictions) + 2
    fig, panels = image_panels(
        image, count, columns=columns, panel=panel, title=title, caption=caption
    )
    side = panel_pixels(columns, panel)
    show_pixels(panels[0], image, "Image")
    for axes, (name, prediction) in zip(panels[1:], predictions.items(), strict=False):
        painted = paint_prediction(image, prediction, target, categories, min_score, side)
        show_pixels(axes, painted, name)
    show_pixels(panels[-1], paint_truth(image, target, categories, side, names=True), "Truth")
    return fig


@dataclass(frozen=True)
class PictureRow:
    """One row of `show_side_by_side`.

    Attributes:
        image: float [3, H, W] in 0…1.
        target: the truth.
        predictions: one for each column of models.
        title: written beside the row.
    """

    image: Any
    target: Target
    predictions: Sequence[Prediction]
    title: str = ""


@styled
def show_side_by_side(
    rows: Sequence[PictureRow],
    models: Sequence[str],
    categories: Categories,
    *,
    min_score: float = 0.5,
    title: str = "",
    caption: str = "",
) -> Figure:
    """A row per image: the image, the truth, and each model's prediction, without names.

    Args:
        rows: one or more.
        models: headings of the models' columns, of one or two lines.
        categories: the meaning of the labels.
        min_score: instances with a lower score are left out.
        title: text above the panels.
        caption: text below the panels.
    """
    columns = len(models) + 2
    width = min(NARROW, MAX_WIDTH / columns)
    size = (width, max(panel_height(row.image, width) for row in rows))
    fig, grid = figure(columns, len(rows), panel=size, title=title, caption=caption)
    fig.set_dpi(FINE)
    side = round(FINE / DPI * panel_pixels(columns, width))
    for panels, row in zip(grid, rows, strict=True):
        painted = [row.image, paint_truth(row.image, row.target, categories, side)]
        painted += [
            paint_prediction(row.image, prediction, row.target, categories, min_score, side)
            for prediction in row.predictions
        ]
        for axes, pixels in zip(panels, painted, strict=True):
            show_pixels(axes, pixels)
        bare(panels[0]).set_ylabel(row.title, fontsize=SMALL)
    for axes, heading in zip(grid[0], ("Image", "Truth", *models), strict=True):
        axes.set_title(heading)
    return fig


def paint_prediction(
    image: Any,
    prediction: Prediction,
    target: Target,
    categories: Categories,
    min_score: float,
    side: int,
) -> Bytes:
    """The richest output of a prediction over its image: segments, instances, labels or proposals.

    A mask has the colour of the true object that it overlaps most, and is grey if it overlaps
    none. Of proposals, the best ten are painted.

    Args:
        image: float [3, H, W] in 0…1.
        prediction: what a model finds in it.
        target: the truth.
        categories: the meaning of the labels.
        min_score: instances with a lower score are left out.
        side: px of the longer side of the result.

    Returns:
        uint8 [H', W', 3].
    """
    layer = next(field for field in RICHEST if getattr(prediction, field) is not None)
    return overlay(
        image,
        prediction,
        categories,
        layer=layer,
        min_score=min_score,
        boxes=False,
        names=False,
        side=side,
        shrink=True,
        shades=matched_shades(prediction, target, layer, min_score),
    )


def paint_truth(
    image: Any, target: Target, categories: Categories, side: int, names: bool = False
) -> Bytes:
    """The true segments, or the true objects where there are no segments, over their image.

    Args:
        image: float [3, H, W] in 0…1.
        target: the truth; object i has the colour `rgb(i)`.
        categories: the meaning of the labels.
        side: px of the longer side of the result.
        names: write the names of the classes.

    Returns:
        uint8 [H', W', 3].
    """
    layer: Layer = "instances" if target.panoptic is None else "panoptic"
    return overlay(
        image,
        target,
        categories,
        layer=layer,
        boxes=False,
        names=names,
        side=side,
        shrink=True,
        shades=object_shades(target, layer),
    )
