"""PolarMask from a file of the official repository, xieenze/PolarMask.

Its statements about the licence contradict one another (2-clause BSD for the code, "academic use"
in the README), so seglib ships none of its weights.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.polarmask import PolarMask, PolarMaskConfig
from seglib.pretrained.official_weights import OfficialWeights, coco_things, filled, resnet_layout

CLASS_LAYER = "bbox_head.polar_cls.weight"
FIRST_LAYER = "backbone.conv1.weight"
TOWERS = {"cls": "class", "reg": "box", "mask": "ray"}
OUTPUTS = {"cls": "classes", "centerness": "centerness", "reg": "sides", "mask": "rays"}
PARTS = {"conv": 0, "gn": 1}  # of the layers of a tower, three modules each
SCALES = {"bbox": "side", "mask": "ray"}
BACKBONE_LEVELS = 3


def is_polarmask(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a PolarMask."""
    return CLASS_LAYER in state


def our_name(name: str) -> str:
    """Our name of a parameter; an unknown name is returned unchanged."""
    if found := re.fullmatch(r"neck\.(lateral|fpn)_convs\.(\d)\.conv\.(\w+)", name):
        level = int(found[2])
        if found[1] == "lateral":
            return f"fpn.lateral.{level}.{found[3]}"
        if level < BACKBONE_LEVELS:
            return f"fpn.output.{level}.{found[3]}"
        return f"coarser.{level - BACKBONE_LEVELS}.{found[3]}"
    if found := re.fullmatch(r"bbox_head\.(cls|reg|mask)_convs\.(\d)\.(conv|gn)\.(\w+)", name):
        module = 3 * int(found[2]) + PARTS[found[3]]
        return f"head.{TOWERS[found[1]]}_tower.{module}.{found[4]}"
    if found := re.fullmatch(r"bbox_head\.polar_(cls|centerness|reg|mask)\.(\w+)", name):
        return f"head.to_{OUTPUTS[found[1]]}.{found[2]}"
    return name


def polarmask_from_official(state: dict[str, Tensor], path: Path) -> Segmenter:
    """The network with these weights; sizes are derived from their shapes.

    Raises:
        SeglibError: a part is missing, of another shape, or unknown.
    """
    weights = OfficialWeights.renamed(path, _scales_joined(state, path), our_name)
    categories = coco_things(weights, "head.to_classes.weight")
    weights.shape(FIRST_LAYER, 4)
    weights.values[FIRST_LAYER] = weights.values[FIRST_LAYER].flip(1)  # it reads BGR, ours RGB
    layout = {
        **resnet_layout(weights),
        "fpn_width": weights.shape("fpn.output.0.weight", 4)[0],
        "head_width": weights.shape("head.to_classes.weight", 4)[1],
        "head_convolutions": weights.count(r"head\.class_tower\.(\d+)\.") // len(PARTS),
        "rays": weights.shape("head.to_rays.weight", 4)[0],
    }
    return filled(PolarMask, PolarMaskConfig.paper(), layout, categories, weights)


def _scales_joined(state: dict[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same weights with one tensor for the factors of all levels in place of one for each."""
    joined = dict(state)
    for theirs, ours in SCALES.items():
        names = [name for name in state if name.startswith(f"bbox_head.scales_{theirs}.")]
        values = [joined.pop(name) for name in sorted(names)]
        if not values or any(value.numel() != 1 for value in values):
            raise SeglibError(f"{path} lacks one number bbox_head.scales_{theirs}.N for each level")
        joined[f"head.{ours}_scales"] = torch.stack([value.reshape(()) for value in values])
    return joined
