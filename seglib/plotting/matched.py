"""Colours that follow the true objects, so that an object has one colour in several panels."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from seglib.ops.masks import mask_iou
from seglib.plotting.canvas import RGB
from seglib.plotting.overlays import NEUTRAL, Layer, choose_layer
from seglib.plotting.style import rgb
from seglib.plotting.tasks import object_shades
from seglib.structures import Instances, Target

SAME = 0.1  # smallest IoU with which a mask gets an object's colour


def matched_shades(
    result: Any, target: Target, layer: Layer | None = None, min_score: float = 0.5
) -> dict[int, RGB]:
    """The `shades` of `overlay` that give predicted masks the colours of the true objects.

    A mask has the colour of the object that it overlaps most, and is grey if it overlaps none.
    Stuff and classes without a true object keep their usual colours.

    Args:
        result: as for `overlay`, with the same `layer` and `min_score`.
        target: the true objects; object i has the colour `rgb(i)`.
    """
    layer, content = choose_layer(result, layer)
    if layer == "semantic":
        return object_shades(target, layer)
    if layer != "panoptic":
        if layer == "instances" and isinstance(content, Instances):
            content = content[content.scores >= min_score]
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
