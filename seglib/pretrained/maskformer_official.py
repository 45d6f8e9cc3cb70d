"""MaskFormer and Mask2Former from files of their authors' repositories, written by detectron2.

The authors' weights are under the Creative Commons licence BY-NC 4.0: not for commercial use.
seglib ships none of them.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglib.data.coco_categories import coco_categories, coco_panoptic_categories
from seglib.errors import SeglibError
from seglib.models.base import PIXEL_MEAN, Segmenter
from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.pretrained import detectron2_names as detectron2
from seglib.pretrained.official_weights import OfficialWeights, filled, resnet_layout
from seglib.pretrained.transformers_names import LOSS, no_object_first

HEAD = "sem_seg_head.predictor."
# Pattern → ours, in this order.
RULES = (
    # The first files have no "pixel_decoder." in their names.
    (r"^sem_seg_head\.(?!pixel_decoder\.|predictor\.)", "sem_seg_head.pixel_decoder."),
    (r"^sem_seg_head\.", ""),
    (r"^predictor\.(class_embed|mask_embed)\.", r"\1."),
    (r"^predictor\.static_query\.", "decoder.query_feat."),  # its name in the first files
    (r"^predictor\.transformer\.decoder\.", "decoder.decoder."),
    (r"^predictor\.decoder_norm\.", "decoder.norm."),
    (r"^predictor\.transformer_cross_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norm1."),
    (r"^predictor\.transformer_self_attention_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norm2."),
    (r"^predictor\.transformer_ffn_layers\.(\d+)\.norm\.", r"decoder.layers.\1.norm3."),
    (
        r"^predictor\.transformer_cross_attention_layers\.(\d+)\.multihead_attn\.",
        r"decoder.layers.\1.cross_attn.",
    ),
    (r"^predictor\.transformer_(self_attention|ffn)_layers\.(\d+)\.", r"decoder.layers.\2."),
    (r"^predictor\.", "decoder."),
)
MASKFORMER_RULES = (
    (r"^pixel_decoder\.input_proj\.", "pixel_encoder.input_proj."),
    (r"^pixel_decoder\.transformer\.encoder\.", "pixel_encoder.encoder."),
)
MASK2FORMER_RULES = (
    (r"^pixel_decoder\.transformer\.", "pixel_decoder."),
    (r"^pixel_decoder\.adapter_1\.norm\.", "pixel_decoder.lateral.1."),
    (r"^pixel_decoder\.adapter_1\.", "pixel_decoder.lateral.0."),
    (r"^pixel_decoder\.layer_1\.norm\.", "pixel_decoder.output.1."),
    (r"^pixel_decoder\.layer_1\.", "pixel_decoder.output.0."),
)
FPN_LAYERS = {"adapter": "lateral", "layer": "output"}


def is_maskformer(state: dict[str, Tensor]) -> bool:
    """Whether the weights are those of a MaskFormer or Mask2Former, in its authors' names."""
    return any(name.startswith(HEAD) for name in state)


def our_name(name: str, masked: bool) -> str:
    """Our name of a weight of the authors' MaskFormer, or with `masked` Mask2Former."""
    if name.startswith("backbone."):
        return detectron2.our_name(name)
    for pattern, ours in (*RULES, *(MASK2FORMER_RULES if masked else MASKFORMER_RULES)):
        name = re.sub(pattern, ours, name)
    if found := re.fullmatch(r"pixel_decoder\.(adapter|layer)_(\d)(\.norm)?\.(\w+)", name):
        level, part = int(found[2]) - 1, 1 if found[3] else 0
        return f"pixel_decoder.{FPN_LAYERS[found[1]]}.{level}.{part}.{found[4]}"
    return name


def maskformer_from_official(state: dict[str, Tensor], path: Path) -> Segmenter:
    """The network with these weights; their names determine the variant.

    Raises:
        SeglibError: a backbone other than a ResNet, another number of classes than COCO's, or
            weights that do not fit.
    """
    if any(name.startswith("backbone.patch_embed.") for name in state):
        raise SeglibError(
            f"{path} contains a MaskFormer with a Swin Transformer: seglib has ResNets, so choose "
            "a file of the same repository with R50 or R101 in its name"
        )
    imagenet = 255 * torch.tensor(PIXEL_MEAN)
    mean = state.get("pixel_mean", imagenet).flatten()
    if mean.shape != imagenet.shape or not torch.allclose(mean, imagenet, atol=0.01):
        raise SeglibError(f"{path} expects the pixel mean {mean.tolist()[:6]}, not ImageNet's")
    masked = any("transformer_cross_attention_layers" in name for name in state)
    known = {
        name: value
        for name, value in state.items()
        if not name.startswith(LOSS) and name not in detectron2.PIXELS
    }
    return maskformer_from_weights(
        OfficialWeights.renamed(path, known, lambda name: our_name(name, masked))
    )


def maskformer_from_weights(weights: OfficialWeights) -> Segmenter:
    """The network with weights that have our names, but "no object" as their last class."""
    rows, _ = weights.shape("class_embed.weight", 2)
    all_categories = {len(c) + 1: c for c in (coco_categories(), coco_panoptic_categories())}
    if rows not in all_categories:
        raise SeglibError(
            f"{weights.path} has {rows - 1} classes, not COCO's 80 things, or 133 with stuff: load "
            "it by hand with the categories it was trained on"
        )
    weights.values = no_object_first(weights.values)
    masked = "decoder.query_feat.weight" in weights.values
    config = MaskFormerConfig.paper("mask2former" if masked else "maskformer")
    return filled(MaskFormer, config, _layout(weights, masked), all_categories[rows], weights)


def _layout(weights: OfficialWeights, masked: bool) -> dict[str, Any]:
    """The config fields of a MaskFormer, derived from the shapes."""
    layers, encoder = (
        ("decoder.layers", "pixel_decoder")
        if masked
        else (
            "decoder.decoder.layers",
            "pixel_encoder",
        )
    )
    queries, channels = weights.shape("decoder.query_embed.weight", 2)
    mask_channels, pixel_channels, *_ = weights.shape("pixel_decoder.mask_features.weight", 4)
    pixel_layers = weights.count(rf"{encoder}\.encoder\.layers\.(\d+)\.")
    layout = {
        **resnet_layout(weights),
        "pixel_channels": pixel_channels,
        "mask_channels": mask_channels,
        "pixel_layers": pixel_layers,
        "channels": channels,
        "queries": queries,
        "hidden": weights.shape(f"{layers}.0.linear1.weight", 2)[0],
        "decoder_layers": weights.count(rf"{re.escape(layers)}\.(\d+)\."),
    }
    if pixel_layers:
        first = f"{encoder}.encoder.layers.0.linear1.weight"
        layout["pixel_hidden"] = weights.shape(first, 2)[0]
    return layout
