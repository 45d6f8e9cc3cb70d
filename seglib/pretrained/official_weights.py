"""Weights of an official file under our names, the layout they imply, and the network they fill."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from seglib.data.coco_categories import coco_categories
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.config import ModelConfig
from seglib.pretrained.files import build
from seglib.structures import Categories


@dataclass
class OfficialWeights:
    """Weights under our names.

    Attributes:
        path: the file of the weights.
        values: our name → weight.
        origins: our name → name in the file.
    """

    path: Path
    values: dict[str, Tensor]
    origins: dict[str, str]

    @classmethod
    def renamed(
        cls, path: Path, state: Mapping[str, Tensor], rename: Callable[[str], str]
    ) -> OfficialWeights:
        """A file's weights, each name translated.

        Raises:
            SeglibError: two weights would get the same name.
        """
        weights = cls(path, {}, {})
        for name, value in state.items():
            ours = rename(name)
            if ours in weights.values:
                raise SeglibError(f"{path}: {name} and {weights.origins[ours]} are the same layer")
            weights.values[ours], weights.origins[ours] = value, name
        return weights

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """The shape of a weight that decides how the network is built.

        Raises:
            SeglibError: the weight is missing, empty, or has another number of dimensions.
        """
        if name not in self.values:
            raise SeglibError(
                f"{self.path} lacks {name}: it does not hold a complete network of this kind"
            )
        shape = tuple(self.values[name].shape)
        if len(shape) != dimensions or 0 in shape:
            raise SeglibError(
                f"{self.path}: {self.origins[name]} is {list(shape)}, the model needs "
                f"{dimensions} dimensions, none of them empty"
            )
        return shape

    def count(self, pattern: str) -> int:
        """How many different numbers a pattern's group matches, "convs.(0).", "convs.(1)."…"""
        return len({m[1] for name in self.values if (m := re.match(pattern, name))})


def resnet_layout(weights: OfficialWeights, prefix: str = "backbone") -> dict[str, Any]:
    """The config fields of a ResNet, derived from the shapes."""
    return {
        "width": weights.shape(f"{prefix}.conv1.weight", 4)[0],
        "blocks": tuple(
            weights.count(rf"{re.escape(prefix)}\.layer{stage}\.(\d+)\.") for stage in range(1, 5)
        ),
        "bottleneck": f"{prefix}.layer1.0.conv3.weight" in weights.values,
    }


def rcnn_layout(weights: OfficialWeights) -> dict[str, Any]:
    """The config fields of a Mask R-CNN or of a cascade, derived from the shapes."""
    head = "box_heads.heads.0" if stage_count(weights) else "box_heads.head"
    fpn_width = weights.shape("fpn.output.0.weight", 4)[0]
    hidden, pooled = weights.shape(f"{head}.fc6.weight", 2)
    return {
        **resnet_layout(weights),
        "fpn_width": fpn_width,
        "box_hidden": hidden,
        "box_bins": round((pooled / fpn_width) ** 0.5),
        "mask_width": weights.shape("mask_branch.head.conv5_mask.weight", 4)[0],
        "mask_convolutions": weights.count(r"mask_branch\.head\.convs\.(\d+)\."),
    }


def yolact_layout(weights: OfficialWeights) -> dict[str, Any]:
    """The config fields of a YOLACT, derived from the shapes."""
    prototypes, proto_width, *_ = weights.shape("protonet.prototypes.weight", 4)
    return {
        **resnet_layout(weights),
        "fpn_width": weights.shape("pyramid.fpn.output.0.weight", 4)[0],
        "head_width": weights.shape("head.shared.weight", 4)[0],
        "prototypes": prototypes,
        "proto_width": proto_width,
        "proto_convolutions": weights.count(r"protonet\.coarse\.(\d+)\."),
    }


def stage_count(weights: OfficialWeights) -> int:
    """The number of a cascade's stages; 0 for a Mask R-CNN."""
    return weights.count(r"box_heads\.heads\.(\d+)\.")


def coco_things(weights: OfficialWeights, layer: str, *, background: int = 0) -> Categories:
    """COCO's 80 things, which the network must have been trained on.

    Args:
        weights: those of the network.
        layer: our name of its last convolution's weights, with one row for each class.
        background: rows of this layer that stand for no class.

    Raises:
        SeglibError: the layer has rows for another number of classes.
    """
    classes = weights.shape(layer, 4)[0] - background
    categories = coco_categories()
    if classes != len(categories):
        raise SeglibError(
            f"{weights.path} has {classes} classes, not COCO's {len(categories)}: load it by hand "
            "with the categories it was trained on"
        )
    return categories


def filled(
    kind: type[Segmenter],
    config: ModelConfig,
    layout: dict[str, Any],
    categories: Categories,
    weights: OfficialWeights,
) -> Segmenter:
    """The published network with these weights, its sizes replaced by the file's layout."""
    return build(
        kind,
        lambda: replace(config, **layout),
        categories,
        weights.values,
        weights.path,
        weights.origins,
    )
