"""torchvision's names for the layers of its detectors, translated into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

_RENAMED = (
    (r"^backbone\.body\.", "backbone."),
    (r"^backbone\.fpn\.inner_blocks\.(\d+)\.(?:0\.)?", r"fpn.lateral.\1."),
    (r"^backbone\.fpn\.layer_blocks\.(\d+)\.(?:0\.)?", r"fpn.output.\1."),
    (r"^roi_heads\.box_(?:head|predictor)\.", "box_heads.head."),
    (r"^roi_heads\.mask_predictor\.", "mask_branch.head."),
)


def mask_rcnn_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of torchvision's `MaskRCNN` with a ResNet and FPN for `MaskRCNN`.

    The shapes are the same: both have the background first, in masks and corrections as well.
    """
    return {our_name(name): value for name, value in state.items()}


def our_name(name: str) -> str:
    """Our name of a parameter; an unknown name is returned unchanged."""
    convolution = re.match(r"^roi_heads\.mask_head\.(?:mask_fcn(\d+)|(\d+)\.0)\.(.+)$", name)
    if convolution:
        old, new, rest = convolution.groups()
        number = int(new) if new is not None else int(old) - 1  # files before 0.13 count from 1
        return f"mask_branch.head.convs.{number}.{rest}"
    old_head = re.match(r"^rpn\.head\.conv\.(weight|bias)$", name)
    if old_head:
        return f"rpn.head.conv.0.0.{old_head[1]}"
    for pattern, replacement in _RENAMED:
        name = re.sub(pattern, replacement, name)
    return name
