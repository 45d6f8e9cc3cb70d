"""Published weights of torchvision and detectron2, on seglib's own networks.

    .pth of torchvision   maskrcnn_resnet50_fpn on COCO, fcn_resnet50
    .pkl, .pth of detectron2   Mask R-CNN and Cascade Mask R-CNN with a ResNet and FPN

The networks are the same; names, the place of the background and the form of the pixels differ.
Widths and depths are read off the shapes, and every weight must find its place.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from seglib.data.coco_categories import coco_categories, voc_categories
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from seglib.models.config import ModelConfig
from seglib.models.fcn import FCN
from seglib.models.fcn.config import FCNConfig
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.pretrained import detectron2_names as detectron2
from seglib.pretrained.files import build
from seglib.pretrained.torchvision_names import mask_rcnn_names
from seglib.pretrained.weight_files import read_weights
from seglib.structures import Categories

OfficialModel = Literal["auto", "fcn", "mask_rcnn", "cascade_rcnn"]
OUR_EPS = 1e-5  # what our frozen norms add to the variance


@dataclass
class _Weights:
    """Weights under our names.

    Attributes:
        path: their file.
        values: by our names.
        origins: what the file calls them.
    """

    path: Path
    values: dict[str, Tensor]
    origins: dict[str, str]

    def shape(self, name: str, dimensions: int) -> tuple[int, ...]:
        """Of a weight that decides how the network is built.

        Raises:
            SeglibError: there is none, it has another number of dimensions, or it is empty.
        """
        if name not in self.values:
            raise SeglibError(f"{self.path} lacks {name}: it holds no whole network of this kind")
        shape = tuple(self.values[name].shape)
        if len(shape) != dimensions or 0 in shape:
            raise SeglibError(
                f"{self.path}: {self.origins[name]} is {list(shape)}, the model needs "
                f"{dimensions} dimensions, none of them empty"
            )
        return shape

    def count(self, pattern: str) -> int:
        """How many different numbers a name's group takes, "convs.(0).", "convs.(1)."…"""
        return len({m[1] for name in self.values if (m := re.match(pattern, name))})


def load_official(
    path: Path | str, model: OfficialModel = "auto", norm_eps: float | None = None
) -> Segmenter:
    """Build a network from a file of torchvision or detectron2.

    Args:
        path: .pth or .pkl. No code in it is run.
        model: which network it must hold; "auto" takes what it holds.
        norm_eps: what torchvision's frozen norms added to their variances when these weights were
            trained. None: 0 as for its published detectors (which torchvision sets when it loads
            them), or 1e-5 where the file's norms were not frozen. Your own training of a detector
            with frozen norms: give 1e-5.

    Returns:
        the model with COCO's 80 things (FCN: VOC's 20), in evaluation mode.

    Raises:
        SeglibError: no such file, a damaged or untrustworthy one, a network that seglib does not
            have, or weights that do not fit; the first faults are named.
    """
    path = Path(path)
    state = read_weights(path)
    if any(name.startswith("backbone.bottom_up.") for name in state):
        built = _from_detectron2(state, path)
    elif any(name.startswith("backbone.body.") for name in state):
        built = _mask_rcnn_from_torchvision(state, path, norm_eps)
    elif "classifier.4.weight" in state and "backbone.layer4.0.conv1.weight" in state:
        built = _fcn_from_torchvision(state, path)
    else:
        first = ", ".join(list(state)[:3])
        raise SeglibError(
            f"{path} holds no network that seglib knows (its first weights: {first}): it reads "
            "torchvision's maskrcnn_resnet50_fpn and fcn_resnet50, and detectron2's Mask and "
            "Cascade Mask R-CNN with a ResNet and FPN"
        )
    if model not in ("auto", built.name):
        raise SeglibError(f"{path} holds a {built.name}, not a {model}")
    return built.eval()


def _from_detectron2(state: dict[str, Tensor], path: Path) -> Segmenter:
    for name in detectron2.PIXELS:
        if name in state and state[name].numel() != 3:
            raise SeglibError(f"{path}: {name} is {list(state[name].shape)}, not three numbers")
    mean = state.get("pixel_mean")
    if mean is not None and not detectron2.same_mean(mean):
        raise SeglibError(
            f"{path} expects the pixel mean {mean.flatten().tolist()}: only BGR with ImageNet's is "
            "known here"
        )
    pixel_std = state.get("pixel_std", torch.ones(3)).flatten()
    weights = _renamed(
        path,
        {n: v for n, v in state.items() if not n.startswith(detectron2.IGNORED)},
        detectron2.our_name,
    )
    for name, value in weights.values.items():
        weights.values[name] = detectron2.to_ours(name, value, pixel_std)
    common = {**_layout(weights), "stride_in_1x1": True}
    categories = _eighty(weights)
    stages = weights.count(r"box_heads\.(\d+)\.")
    if stages:
        config = CascadeRCNNConfig.paper("detectron2")
        if stages != len(config.stage_ious):
            raise SeglibError(f"{path} has {stages} stages of box heads, a cascade here 3")
        return _filled(CascadeRCNN, config, common, categories, weights)
    return _filled(MaskRCNN, MaskRCNNConfig.detectron2(), common, categories, weights)


def _mask_rcnn_from_torchvision(
    state: dict[str, Tensor], path: Path, norm_eps: float | None
) -> Segmenter:
    if norm_eps is None:
        frozen = not any(name.endswith("num_batches_tracked") for name in state)
        norm_eps = 0.0 if frozen else OUR_EPS
    weights = _renamed(path, state, lambda name: next(iter(mask_rcnn_names({name: Tensor()}))))
    _keep_coco_rows(weights)
    _change_eps(weights.values, norm_eps)
    categories = _eighty(weights)
    return _filled(MaskRCNN, MaskRCNNConfig.paper(), _layout(weights), categories, weights)


def _fcn_from_torchvision(state: dict[str, Tensor], path: Path) -> Segmenter:
    config, categories = FCNConfig.paper("dilated"), voc_categories()
    weights = _renamed(path, state, lambda name: f"network.{name}")
    backbone = _backbone(weights, "network.backbone")
    classes = weights.shape("network.classifier.4.weight", 4)[0]
    if classes != len(categories) + 1:
        raise SeglibError(f"{path} names {classes} classes, not background and VOC's 20")
    return _filled(FCN, config, backbone, categories, weights)


def _renamed(path: Path, state: Mapping[str, Tensor], rename: Any) -> _Weights:
    weights = _Weights(path, {}, {})
    for name, value in state.items():
        ours = rename(name)
        if ours in weights.values:
            raise SeglibError(f"{path}: {name} and {weights.origins[ours]} are the same layer")
        weights.values[ours], weights.origins[ours] = value, name
    return weights


def _keep_coco_rows(weights: _Weights) -> None:
    """torchvision's rows are COCO's ids 0…90; ten of them mean nothing and were never trained on.

    A trained network gives those ten next to no probability, so leaving them out of the softmax
    moves scores by as little.
    """
    ids = [0, *(category.coco_id for category in coco_categories())]
    for name, block, dimensions in (
        ("box_head.cls_score", 1, 2),
        ("box_head.bbox_pred", 4, 2),
        ("mask_head.mask_fcn_logits", 1, 4),
    ):
        for part, needed in ((f"{name}.weight", dimensions), (f"{name}.bias", 1)):
            rows, *_ = weights.shape(part, needed)
            if rows != 91 * block:
                raise SeglibError(
                    f"{weights.path}: {weights.origins[part]} has {rows} rows, not {91 * block}, "
                    f"{block} for each of COCO's ids 0…90"
                )
            kept = weights.values[part].unflatten(0, (91, block))[ids]
            weights.values[part] = kept.flatten(0, 1)


def _change_eps(values: dict[str, Tensor], old: float) -> None:
    """Let norms that were trained with `old` added to their variance give the same with ours.

    A published variance of a dead channel is far below 1e-5, so the difference goes into the
    scale: taken off the variance it would be lost in rounding.
    """
    if old == OUR_EPS:
        return
    for name, variance in values.items():
        if name.endswith(".running_var"):
            scale = name.removesuffix("running_var") + "weight"
            if scale not in values or values[scale].shape != variance.shape:
                continue  # `fill` says what does not fit
            exact = variance.double()
            factor = ((exact + OUR_EPS) / (exact + old)).sqrt()
            values[scale] = (values[scale].double() * factor).to(variance.dtype)


def _backbone(weights: _Weights, prefix: str = "backbone") -> dict[str, Any]:
    """What shapes tell of a ResNet."""
    return {
        "width": weights.shape(f"{prefix}.conv1.weight", 4)[0],
        "blocks": tuple(
            weights.count(rf"{re.escape(prefix)}\.layer{stage}\.(\d+)\.") for stage in range(1, 5)
        ),
        "bottleneck": f"{prefix}.layer1.0.conv3.weight" in weights.values,
    }


def _layout(weights: _Weights) -> dict[str, Any]:
    """What shapes tell of an R-CNN."""
    head = "box_heads.0" if weights.count(r"box_heads\.(\d+)\.") else "box_head"
    fpn_width = weights.shape("fpn.output.0.weight", 4)[0]
    hidden, pooled = weights.shape(f"{head}.fc6.weight", 2)
    return {
        **_backbone(weights),
        "fpn_width": fpn_width,
        "box_hidden": hidden,
        "box_bins": round((pooled / fpn_width) ** 0.5),
        "mask_width": weights.shape("mask_head.conv5_mask.weight", 4)[0],
        "mask_convolutions": weights.count(r"mask_head\.convs\.(\d+)\."),
    }


def _eighty(weights: _Weights) -> Categories:
    """COCO's things, if the network has as many."""
    classes, *_ = weights.shape("mask_head.mask_fcn_logits.weight", 4)
    categories = coco_categories()
    if classes != len(categories) + 1:
        raise SeglibError(
            f"{weights.path} has masks of {classes - 1} classes, not of COCO's {len(categories)}: "
            "load it by hand with the categories it was trained on"
        )
    return categories


def _filled(
    kind: type[Segmenter],
    config: ModelConfig,
    seen: dict[str, Any],
    categories: Categories,
    weights: _Weights,
) -> Segmenter:
    """The network as published, but for what was seen in the shapes, with its weights."""
    return build(
        kind,
        lambda: replace(config, **seen),
        categories,
        weights.values,
        weights.path,
        weights.origins,
    )
