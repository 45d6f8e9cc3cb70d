"""The names that the `transformers` package gives the weights of DETR, MaskFormer, Mask2Former.

Version 4 saved other names than version 5 uses in memory (`out_proj` and `fc1` became `o_proj`
and `mlp.fc1`); both are read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

Rules = tuple[tuple[str, str], ...]

# Pattern → our name, in the order in which they are tried. A pattern ends where a name does.
RESNET: Rules = (
    (r"embedder\.embedder\.convolution", "conv1"),
    (r"embedder\.embedder\.normalization", "bn1"),
    (r"encoder\.stages\.0\.layers", "layer1"),
    (r"encoder\.stages\.1\.layers", "layer2"),
    (r"encoder\.stages\.2\.layers", "layer3"),
    (r"encoder\.stages\.3\.layers", "layer4"),
    (r"shortcut\.convolution", "downsample.0"),
    (r"shortcut\.normalization", "downsample.1"),
    (r"layer\.0\.convolution", "conv1"),
    (r"layer\.1\.convolution", "conv2"),
    (r"layer\.2\.convolution", "conv3"),
    (r"layer\.0\.normalization", "bn1"),
    (r"layer\.1\.normalization", "bn2"),
    (r"layer\.2\.normalization", "bn3"),
)
TRANSFORMER: Rules = (
    (r"(encoder\.layers\.\d+)\.final_layer_norm", r"\1.norm2"),
    (r"(decoder\.layers\.\d+)\.final_layer_norm", r"\1.norm3"),
    (r"self_attn_layer_norm", "norm1"),
    (r"encoder_attn_layer_norm", "norm2"),
    (r"encoder_attn", "multihead_attn"),
    (r"\b(mlp\.)?fc([12])\b", r"linear\2"),
    (r"\bo_proj\b", "out_proj"),
    (r"decoder\.layernorm", "decoder.norm"),
)
DETR: Rules = (
    (r"^detr\.", ""),
    (r"^model\.backbone\.(conv_encoder\.)?model\.", "backbone."),
    (r"^model\.(encoder|decoder)\.", r"transformer.\1."),
    (r"^model\.input_projection", "input_proj"),
    (r"^model\.query_position_embeddings", "query_embed"),
    (r"^class_labels_classifier", "class_embed"),
    (r"^bbox_predictor", "bbox_embed"),
    (r"^bbox_attention\.([qk])_proj", r"bbox_attention.\1_linear"),
    (r"^mask_head\.conv([12])\.conv", r"mask_head.lay\1"),
    (r"^mask_head\.conv([12])\.norm", r"mask_head.gn\1"),
    (r"^mask_head\.fpn_stages\.0\.refine\.conv", "mask_head.lay3"),
    (r"^mask_head\.fpn_stages\.1\.refine\.conv", "mask_head.lay4"),
    (r"^mask_head\.fpn_stages\.2\.refine\.conv", "mask_head.lay5"),
    (r"^mask_head\.fpn_stages\.0\.refine\.norm", "mask_head.gn3"),
    (r"^mask_head\.fpn_stages\.1\.refine\.norm", "mask_head.gn4"),
    (r"^mask_head\.fpn_stages\.2\.refine\.norm", "mask_head.gn5"),
    (r"^mask_head\.fpn_stages\.0\.fpn_adapter", "mask_head.adapter1"),
    (r"^mask_head\.fpn_stages\.1\.fpn_adapter", "mask_head.adapter2"),
    (r"^mask_head\.fpn_stages\.2\.fpn_adapter", "mask_head.adapter3"),
    (r"^mask_head\.output_conv", "mask_head.out_lay"),
)
MASKFORMER: Rules = (
    (r"^model\.pixel_level_module\.encoder\.", "backbone."),
    (r"^model\.pixel_level_module\.decoder\.fpn\.stem", "pixel_decoder.output.3"),
    # Their levels are numbered from the coarsest, ours from the finest.
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.0\.proj", "pixel_decoder.lateral.2"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.1\.proj", "pixel_decoder.lateral.1"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.2\.proj", "pixel_decoder.lateral.0"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.0\.block", "pixel_decoder.output.2"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.1\.block", "pixel_decoder.output.1"),
    (r"^model\.pixel_level_module\.decoder\.fpn\.layers\.2\.block", "pixel_decoder.output.0"),
    (r"^model\.pixel_level_module\.decoder\.mask_projection", "pixel_decoder.mask_features"),
    (r"^model\.transformer_module\.queries_embedder", "decoder.query_embed"),
    (r"^model\.transformer_module\.input_projection", "decoder.input_proj"),
    (r"^model\.transformer_module\.decoder\.", "decoder.decoder."),
    (r"^class_predictor", "class_embed"),
    (r"^mask_embedder\.(\d)\.0", r"mask_embed.layers.\1"),
)
MASK2FORMER: Rules = (
    (r"^model\.pixel_level_module\.encoder\.", "backbone."),
    (r"^model\.pixel_level_module\.decoder\.input_projections", "pixel_decoder.input_proj"),
    (r"^model\.pixel_level_module\.decoder\.adapter_1", "pixel_decoder.lateral"),
    (r"^model\.pixel_level_module\.decoder\.layer_1", "pixel_decoder.output"),
    (r"^model\.pixel_level_module\.decoder\.mask_projection", "pixel_decoder.mask_features"),
    (r"^model\.pixel_level_module\.decoder\.", "pixel_decoder."),
    (r"^model\.transformer_module\.queries_embedder", "decoder.query_embed"),
    (r"^model\.transformer_module\.queries_features", "decoder.query_feat"),
    (r"^model\.transformer_module\.input_projections", "decoder.input_proj"),
    (r"^model\.transformer_module\.level_embed", "decoder.level_embed"),
    (
        r"^model\.transformer_module\.decoder\.mask_predictor\.mask_embedder\.(\d)\.0",
        r"mask_embed.layers.\1",
    ),
    # Here cross-attention comes first.
    (
        r"^model\.transformer_module\.decoder\.(layers\.\d+)\.cross_attn_layer_norm",
        r"decoder.\1.norm1",
    ),
    (
        r"^model\.transformer_module\.decoder\.(layers\.\d+)\.self_attn_layer_norm",
        r"decoder.\1.norm2",
    ),
    (r"^model\.transformer_module\.decoder\.", "decoder."),
    (r"^class_predictor", "class_embed"),
)
LOSS = "criterion."  # what precedes the names of buffers of the loss
CLASS_EMBED = ("class_embed.weight", "class_embed.bias")


def detr_state_from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `DetrForObjectDetection` or `DetrForSegmentation` by the names of `DETR`."""
    return no_object_first(renamed(state, DETR))


def maskformer_state_from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `MaskFormerForInstanceSegmentation` by the names of `MaskFormer`."""
    return no_object_first(renamed(state, MASKFORMER))


def mask2former_state_from_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of `Mask2FormerForUniversalSegmentation` by the names of `MaskFormer`."""
    return no_object_first(renamed(state, MASK2FORMER))


def renamed(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Weights by our names, the projections of each attention stacked; "no object" stays last.

    What belongs to the loss is left out.
    """
    found = {}
    for name, value in state.items():
        if name.startswith(LOSS):
            continue
        for pattern, ours in (*rules, *TRANSFORMER, *RESNET):
            name = re.sub(pattern, ours, name)
        found[name] = value
    for name in [name for name in found if ".q_proj." in name]:
        names = [name.replace(".q_proj.", f".{kind}_proj.") for kind in "qkv"]
        if all(part in found for part in names):
            parts = [found.pop(part) for part in names]
            found[name.replace(".q_proj.", ".in_proj_")] = torch.cat(parts)
    return found


def no_object_first(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights with the row of "no object", their last class, as ours: the first."""
    return {
        name: value.roll(1, dims=0) if name in CLASS_EMBED and value.ndim else value
        for name, value in state.items()
    }
