"""Translate the names of weights in files of earlier versions into today's."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

# By model: patterns that old state-dict names begin with, and their replacements.
_RENAMED: dict[str, dict[str, str]] = {
    "fcn": {r"network\.trunk\.": "network.backbone."},
    "deepmask": {r"network\.trunk\.": "network.backbone."},
    "mask_rcnn": {
        r"box_head\.": "box_heads.head.",
        r"mask_head\.": "mask_branch.head.",
    },
    "cascade_rcnn": {
        r"box_heads\.(\d+)\.": r"box_heads.heads.\1.",
        r"mask_head\.": "mask_branch.head.",
    },
}


def with_present_names(model: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors by the names that the model called `model` gives them today."""
    return {_present_name(model, name): value for name, value in tensors.items()}


def _present_name(model: str, name: str) -> str:
    for old, new in _RENAMED.get(model, {}).items():
        renamed, times = re.subn(f"^{old}", new, name)
        if times:
            return renamed
    return name
