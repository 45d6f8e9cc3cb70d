"""detectron2's names for the layers of R-CNNs with a ResNet and FPN, translated into ours.

The layouts differ in more than names, see `to_ours`: detectron2 has the background last, predicts
no corrections and no masks for it, and reads images as BGR in 0…255.
"""

from __future__ import annotations

import re

import torch
from torch import Tensor

from seglib.models.base import PIXEL_MEAN, PIXEL_STD

# Stored with the weights: the normalisation of images, and anchors, which seglib computes.
PIXELS = ("pixel_mean", "pixel_std")
IGNORED = (*PIXELS, "proposal_generator.anchor_generator.")
FIRST_LAYER = "backbone.conv1.weight"

_LAYERS = {"fc1": "fc6", "fc2": "fc7"}
_MASK_LAYERS = {"deconv": "conv5_mask", "predictor": "mask_fcn_logits"}
_RPN_LAYERS = {"conv": "conv.0.0", "objectness_logits": "cls_logits", "anchor_deltas": "bbox_pred"}


def our_name(name: str) -> str:
    """Our name of a parameter; an unknown name is returned unchanged."""
    name = re.sub(r"^backbone\.(bottom_up\.)?stem\.", "backbone.", name)
    name = re.sub(
        r"^backbone\.(bottom_up\.)?res(\d+)\.",
        lambda m: f"backbone.layer{int(m[2]) - 1}.",
        name,
    )
    if name.startswith(("backbone.conv", "backbone.layer")):
        name = re.sub(r"\bconv(\d)\.norm\.", r"bn\1.", name)
        name = name.replace(".shortcut.norm.", ".downsample.1.")
        return name.replace(".shortcut.", ".downsample.0.")
    name = re.sub(
        r"^backbone\.fpn_(lateral|output)(\d)\.", lambda m: f"fpn.{m[1]}.{int(m[2]) - 2}.", name
    )
    name = re.sub(
        r"^proposal_generator\.rpn_head\.(\w+)\.",
        lambda m: f"rpn.head.{_RPN_LAYERS.get(m[1], m[1])}.",
        name,
    )
    name = re.sub(r"^roi_heads\.box_(?:head|predictor)\.(\d+)\.", r"box_heads.heads.\1.", name)
    name = re.sub(r"^roi_heads\.box_(?:head|predictor)\.", "box_heads.head.", name)
    name = re.sub(
        r"^roi_heads\.mask_head\.mask_fcn(\d+)\.",
        lambda m: f"mask_branch.head.convs.{int(m[1]) - 1}.",
        name,
    )
    name = re.sub(
        r"^roi_heads\.mask_head\.(\w+)\.",
        lambda m: f"mask_branch.head.{_MASK_LAYERS.get(m[1], m[1])}.",
        name,
    )
    return re.sub(r"\.(fc[12])\.", lambda m: f".{_LAYERS[m[1]]}.", name)


def to_ours(name: str, value: Tensor, pixel_std: Tensor) -> Tensor:
    """A parameter in our layout; one without detectron2's shape is returned unchanged.

    Args:
        name: our name of the parameter.
        value: detectron2's value.
        pixel_std: [3], detectron2's divisors of pixels, BGR; all 1 in the published ResNets.
    """
    if value.ndim == 0:
        return value
    if name == FIRST_LAYER:
        fits = value.ndim == 4 and value.shape[1] == 3
        return first_layer_for_rgb(value, pixel_std) if fits else value
    if re.search(r"\bcls_score\.", name):
        return torch.cat([value[-1:], value[:-1]])  # background first
    if re.search(r"\bbbox_pred\.", name) and name.startswith("box_heads.") and len(value) > 4:
        return torch.cat([torch.zeros_like(value[:4]), value])  # four deltas for background
    if name.startswith("mask_branch.head.mask_fcn_logits."):
        return torch.cat([torch.zeros_like(value[:1]), value])
    return value


def first_layer_for_rgb(weight: Tensor, pixel_std: Tensor) -> Tensor:
    """Adapt a convolution [O, 3, k, k] on (BGR − mean) / pixel_std to (RGB − mean) / std.

    The means are ImageNet's in both, in 0…255 there and in 0…1 here; padding is zero in both, so
    the two give the same numbers everywhere.
    """
    std = weight.new_tensor(PIXEL_STD) * 255 / pixel_std.flip(0).to(weight)
    return weight.flip(1) * std[:, None, None]


def same_mean(pixel_mean: Tensor) -> bool:
    """Whether detectron2's mean, BGR in 0…255, is ours."""
    ours = torch.tensor(PIXEL_MEAN[::-1]) * 255
    return bool(torch.allclose(pixel_mean.flatten().float(), ours, atol=0.01))
