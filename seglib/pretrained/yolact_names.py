"""The official names of YOLACT's layers (dbolya/yolact), translated into ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

ANCHORS = 3  # per cell, in all published COCO models without deformable convolutions
# What old files contain besides the network; the official loader drops it as well.
_STALE = re.compile(r"backbone\.layer(?!s)|fpn\.downsample_layers\.(?:[2-9]|\d\d)")
_RENAMED = {
    r"prediction_layers\.0\.upfeature\.0\.": "head.shared.",
    r"prediction_layers\.0\.bbox_layer\.": "head.deltas.",
    r"prediction_layers\.0\.conf_layer\.": "head.class_logits.",
    r"prediction_layers\.0\.mask_layer\.": "head.coefficients.",
    r"semantic_seg_conv\.": "semantic.logits.",
    r"fpn\.downsample_layers\.": "pyramid.downsample.",
    # In the sequence of the protonet, ReLUs and the upsampling have numbers, too.
    r"proto_net\.0\.": "protonet.coarse.0.",
    r"proto_net\.2\.": "protonet.coarse.1.",
    r"proto_net\.4\.": "protonet.coarse.2.",
    r"proto_net\.8\.": "protonet.fine.",
    r"proto_net\.10\.": "protonet.prototypes.",
}


def is_yolact(state: Mapping[str, Tensor]) -> bool:
    """Whether a file's weights are those of a YOLACT."""
    return any(name.startswith("prediction_layers.0.") for name in state)


def without_stale(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights that belong to the network."""
    return {name: value for name, value in state.items() if not _STALE.match(name)}


def our_name(name: str) -> str:
    """Our name of a parameter; an unknown name is returned unchanged."""
    if stage := re.match(r"backbone\.layers\.(\d)\.(.+)", name):
        return f"backbone.layer{int(stage[1]) + 1}.{stage[2]}"
    if level := re.match(r"fpn\.(lat|pred)_layers\.([012])\.(.+)", name):
        # Level 0 is C5 there, the finest here.
        part = "lateral" if level[1] == "lat" else "output"
        return f"pyramid.fpn.{part}.{2 - int(level[2])}.{level[3]}"
    for pattern, replacement in _RENAMED.items():
        renamed, times = re.subn(f"^{pattern}", replacement, name)
        if times:
            return renamed
    return name


def class_by_class(rows: Tensor) -> Tensor:
    """The class layer's rows [A·K, …], anchor by anchor in the file, as [K·A, …]."""
    return rows.unflatten(0, (ANCHORS, -1)).transpose(0, 1).flatten(0, 1)
