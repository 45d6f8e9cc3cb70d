"""SOLO, Decoupled SOLO and SOLOv2 from files of the official repository or of mmdetection.

The official weights are free for academic use only (2-clause BSD, WXinlong/SOLO); mmdetection's are
under the Apache licence 2.0. seglib ships neither.
"""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from seglib.models.base import Segmenter
from seglib.models.solo import SOLO, SOLOConfig
from seglib.models.solo.config import Variant
from seglib.pretrained.official_weights import OfficialWeights, coco_things, filled, resnet_layout
from seglib.pretrained.solo_names import our_name

CLASS_LAYERS = ("bbox_head.solo_cate", "bbox_head.dsolo_cate", "mask_head.conv_cls")


def is_solo(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a SOLO, in either layout."""
    return any(f"{name}.weight" in state for name in CLASS_LAYERS) and any(
        name.startswith("neck.fpn_convs.") for name in state
    )


def solo_from_official(state: dict[str, Tensor], path: Path) -> Segmenter:
    """The network with these weights; their names and shapes determine the variant."""
    light = _contains(state, "_list_x.") and not _contains(state, "_convs_x.")
    weights = OfficialWeights.renamed(path, state, lambda name: our_name(name, light))
    categories = coco_things(weights, "category.logits.weight")
    variant: Variant = "solo"
    if _contains(state, "_list_x."):
        variant = "decoupled_light" if light else "decoupled"
    elif "mask_branch.kernels.weight" in weights.values:
        variant = "v2"
    layout = {
        **resnet_layout(weights),
        "fpn_width": weights.shape("fpn.output.0.weight", 4)[0],
        "tower_width": weights.shape("category.logits.weight", 4)[1],
        "tower_layers": weights.count(r"category\.tower\.layers\.(\d+)\."),
    }
    if variant == "v2":
        shape = weights.shape("mask_branch.features.output.conv.weight", 4)
        layout["kernel_channels"], layout["mask_width"], *_ = shape
    config = SOLOConfig.paper(variant)
    if variant == "v2" and layout["tower_layers"] < config.tower_layers:
        config = SOLOConfig.light_v2()
    return filled(SOLO, config, layout, categories, weights)


def _contains(state: dict[str, Tensor], part: str) -> bool:
    return any(part in name for name in state)
