"""The official code's and mmdetection's names for SOLO's layers, translated into ours.

    official (WXinlong/SOLO)      mmdetection                     ours
    bbox_head.cate_convs.0.conv   mask_head.cls_convs.0.conv      category.tower.layers.0.conv
    bbox_head.ins_convs.0.gn      mask_head.mask_convs.0.gn       mask_branch.tower.layers.0.norm
    mask_feat_head.conv_pred.0    mask_head.mask_feature_head…    mask_branch.features.output

Shapes are the same everywhere.
"""

from __future__ import annotations

import re

# Layers of the heads: the official name, mmdetection's, and ours.
_HEADS = (
    (r"(?:d?solo_cate|conv_cls)", "category.logits"),
    (r"(?:cate_convs|cls_convs)", "category.tower.layers"),
    (r"(?:solo_ins_list|conv_mask_list)", "mask_branch.logits"),
    (r"(?:dsolo_ins_list_x|conv_mask_list_x)", "mask_branch.columns"),
    (r"(?:dsolo_ins_list_y|conv_mask_list_y)", "mask_branch.rows"),
    (r"(?:ins_convs_x|mask_convs_x)", "mask_branch.towers.0.layers"),
    (r"(?:ins_convs_y|mask_convs_y)", "mask_branch.towers.1.layers"),
    (r"(?:solo_kernel|conv_kernel)", "mask_branch.kernels"),
    (r"kernel_convs", "mask_branch.tower.layers"),
)
# One tower: SOLO's has its own name, the light decoupled head's is the first of a list.
_TOWER = r"(?:ins_convs|mask_convs)"


def our_name(name: str, light: bool = False) -> str:
    """Our name of a parameter; an unknown name is returned unchanged.

    Args:
        name: the parameter's name in either layout.
        light: the file contains a light decoupled head.
    """
    name = re.sub(
        r"^neck\.(lateral|fpn)_convs\.(\d)\.conv\.",
        lambda m: f"fpn.{'lateral' if m[1] == 'lateral' else 'output'}.{m[2]}.",
        name,
    )
    name = re.sub(r"^mask_(?:feat_head|head\.mask_feature_head)\.", "features.", name)
    name = re.sub(r"^features\.conv_pred\.(?:0\.)?", "mask_branch.features.output.", name)
    name = re.sub(
        r"^features\.convs_all_levels\.(\d)\.conv(\d)\.",
        lambda m: f"mask_branch.features.{_level(int(m[1]), m[2])}.",
        name,
    )
    tower = "mask_branch.towers.0.layers" if light else "mask_branch.tower.layers"
    for pattern, ours in (*_HEADS, (_TOWER, tower)):
        name = re.sub(rf"^(?:bbox|mask)_head\.{pattern}\.", f"{ours}.", name)
    if name.startswith(("category.", "mask_branch.")):
        name = name.replace(".gn.", ".norm.")
    return name


def _level(level: int, layer: str) -> str:
    return "finest" if level == 0 else f"coarser.{level - 1}.layers.{layer}"
