"""The detections of one image, each in the colour of its kind: correct, or a kind of error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from seglib.metrics.error_breakdown import CORRECT, IGNORED, REPAIRABLE, judge_detections
from seglib.metrics.matching import image_overlaps
from seglib.plotting.canvas import Bytes, Canvas, to_numpy
from seglib.plotting.error_bars import MISSED, SHADES
from seglib.plotting.name_places import name_mask
from seglib.plotting.overlays import NEUTRAL, class_name
from seglib.plotting.panels import Figure, image_panels, legend_below, panel_pixels, show_pixels
from seglib.plotting.style import as_bytes, styled
from seglib.structures import Categories, Instances, Target


@styled
def show_judged(
    image: Any,
    found: Mapping[str, Instances],
    target: Target,
    categories: Categories | None = None,
    *,
    columns: int = 4,
    title: str = "",
    caption: str = "",
    panel: float = 3.3,
) -> Figure:
    """The detections of several detectors in an image; errors are named by the class they claim.

    True positives are grey, and errors have the colours of `show_errors`; missed objects are
    hatched, with the name of their own class. A legend names the kinds that occur.

    Args:
        image: float [3, H, W] in 0…1.
        found: name of the detector → the detections to judge, with masks.
        target: the true objects.
        categories: the meaning of the labels; without them, names are numbers.
    """
    count = len(found) + 1
    columns = min(columns, count)
    fig, panels = image_panels(
        image, count, columns=columns, panel=panel, title=title, caption=caption
    )
    show_pixels(panels[0], image, "Image")
    seen: set[str] = set()
    for axes, (name, detections) in zip(panels[1:], found.items(), strict=True):
        side = panel_pixels(columns, panel)
        painted, kinds = _painted(image, detections, target.to_find, categories, side)
        show_pixels(axes, painted, name)
        seen |= kinds
    if shades := {kind: shade for kind, shade in SHADES.items() if kind in seen}:
        legend_below(fig, shades, columns=len(shades))
    return fig


def _painted(
    image: Any, detections: Instances, target: Target, categories: Categories | None, side: int
) -> tuple[Bytes, set[str]]:
    """The image with the outlines and names of all detections, and the kinds that occur."""
    detections = detections[detections.scores.argsort(descending=True, stable=True)]
    kinds, objects = judge_detections(
        image_overlaps(detections, target, "segm"),
        to_numpy(detections.labels),
        to_numpy(target.labels),
        to_numpy(target.iscrowd),
    )
    canvas = Canvas(image, side, shrink=True)
    about = set(objects[np.isin(kinds, (CORRECT, *REPAIRABLE))].tolist())
    missed = [g for g in range(len(target)) if g not in about and not target.iscrowd[g]]
    shades = {kind: as_bytes(shade) for kind, shade in SHADES.items()}
    for g in missed:
        canvas.hatch(canvas.resize_mask(target.masks[g]), shades[MISSED])
    assert detections.masks is not None, "image_overlaps has checked it"
    order = np.argsort([kind != CORRECT for kind in kinds], kind="stable")  # errors on top
    for row in order.tolist():
        color = shades.get(str(kinds[row]), NEUTRAL)
        bits = canvas.resize_mask(detections.masks[row])
        canvas.fill(bits, color)
        canvas.outline(bits, color)
    for row in order.tolist():
        kind = str(kinds[row])
        if kind not in (CORRECT, IGNORED):
            text = class_name(categories, int(detections.labels[row]))
            name_mask(canvas, text, canvas.resize_mask(detections.masks[row]), shades[kind])
    for g in missed:
        text = class_name(categories, int(target.labels[g]))
        name_mask(canvas, text, canvas.resize_mask(target.masks[g]), shades[MISSED])
    return canvas.pixels, {*map(str, kinds), *([MISSED] if missed else [])}
