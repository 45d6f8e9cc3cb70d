"""Published weights of other libraries and of the papers' authors, on seglib's own networks.

    torchvision, .pth         maskrcnn_resnet50_fpn on COCO, fcn_resnet50
    detectron2, .pkl or .pth  Mask R-CNN and Cascade Mask R-CNN with a ResNet and FPN
    dbolya/yolact, .pth       YOLACT at 550 px with a ResNet (MIT licence, as its code)
    WXinlong/SOLO, mmdetection, .pth    SOLO, Decoupled SOLO and SOLOv2
    xieenze/PolarMask, .pth    PolarMask with a ResNet
    facebookresearch/detr, .pth    DETR, and its panoptic models
    facebookresearch/MaskFormer and Mask2Former, .pkl    with a ResNet, for COCO
    Hugging Face hub, .safetensors    DETR, MaskFormer and Mask2Former, the same networks

The networks are the same; their names, the background's position and the pixel format differ.
Widths and depths are derived from the shapes, and every weight must be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from seglib.data.coco_categories import coco_categories, voc_categories
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.models.cascade_rcnn import CascadeRCNN, CascadeRCNNConfig
from seglib.models.fcn import FCN
from seglib.models.fcn.config import FCNConfig
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.yolact import YOLACT, YOLACTConfig
from seglib.pretrained import detectron2_names as detectron2
from seglib.pretrained import torchvision_names as torchvision
from seglib.pretrained import yolact_names as yolact
from seglib.pretrained.detr_official import detr_from_official, is_detr
from seglib.pretrained.hub import (
    detr_from_hub,
    is_hub_detr,
    is_hub_maskformer,
    maskformer_from_hub,
)
from seglib.pretrained.maskformer_official import is_maskformer, maskformer_from_official
from seglib.pretrained.official_weights import (
    OfficialWeights,
    coco_things,
    filled,
    rcnn_layout,
    resnet_layout,
    stage_count,
    yolact_layout,
)
from seglib.pretrained.polarmask_official import is_polarmask, polarmask_from_official
from seglib.pretrained.solo_official import is_solo, solo_from_official
from seglib.pretrained.weight_files import read_weights

OfficialModel = Literal[
    "auto",
    "fcn",
    "mask_rcnn",
    "cascade_rcnn",
    "yolact",
    "solo",
    "polarmask",
    "detr",
    "maskformer",
]
MASK_LOGITS = "mask_branch.head.mask_fcn_logits.weight"
OUR_EPS = 1e-5  # our frozen norms add it to the variance


def load_official(
    path: Path | str, model: OfficialModel = "auto", norm_eps: float | None = None
) -> Segmenter:
    """Build a network from a file that others published; the module's head lists them.

    Args:
        path: .pth, .pkl or .safetensors. No code in it is run.
        model: the network that it must contain; "auto" accepts any.
        norm_eps: the number that torchvision's frozen norms added to their variances when these
            weights were trained. None means 0, as for its published detectors (torchvision sets it
            on loading them), or 1e-5 if the file's norms were not frozen. For a detector that you
            trained yourself with frozen norms, it is 1e-5.

    Returns:
        the model with COCO's 80 things (FCN: VOC's 20; panoptic models: stuff as well), in
        evaluation mode.

    Raises:
        SeglibError: the file is missing, damaged or untrustworthy, or its network is unknown or
            does not fit; the message names the first faults.
    """
    path = Path(path)
    state = read_weights(path)
    if any(name.startswith("backbone.bottom_up.") for name in state):
        built = _from_detectron2(state, path)
    elif any(name.startswith("backbone.body.") for name in state):
        built = _mask_rcnn_from_torchvision(state, path, norm_eps)
    elif yolact.is_yolact(state):
        built = _yolact_from_authors(state, path)
    elif is_solo(state):
        built = solo_from_official(state, path)
    elif is_polarmask(state):
        built = polarmask_from_official(state, path)
    elif (made := _transformer(state, path)) is not None:
        built = made
    elif "classifier.4.weight" in state and "backbone.layer4.0.conv1.weight" in state:
        built = _fcn_from_torchvision(state, path)
    else:
        first = ", ".join(list(state)[:3])
        foreign = " was not written by seglib and" if path.suffix == ".safetensors" else ""
        raise SeglibError(
            f"{path}{foreign} contains no network that seglib knows (its first weights: {first}): "
            "it reads torchvision's maskrcnn_resnet50_fpn and fcn_resnet50, detectron2's Mask and "
            "Cascade Mask R-CNN with a ResNet and FPN, YOLACT and PolarMask with a ResNet, SOLO of "
            "its authors or of mmdetection, and DETR, MaskFormer and Mask2Former with a ResNet, of "
            "their authors or of the Hugging Face hub"
        )
    if model not in ("auto", built.name):
        raise SeglibError(f"{path} contains a {built.name}, not a {model}")
    return built.eval()


def _transformer(state: dict[str, Tensor], path: Path) -> Segmenter | None:
    """A network of the DETR family with these weights; None if they are of another family."""
    for known, build in (
        (is_detr, detr_from_official),
        (is_maskformer, maskformer_from_official),
        (is_hub_detr, detr_from_hub),
        (is_hub_maskformer, maskformer_from_hub),
    ):
        if known(state):
            return build(state, path)
    return None


def _from_detectron2(state: dict[str, Tensor], path: Path) -> Segmenter:
    for name in detectron2.PIXELS:
        if name in state and state[name].numel() != 3:
            raise SeglibError(f"{path}: {name} is {list(state[name].shape)}, not three numbers")
    mean = state.get("pixel_mean")
    if mean is not None and not detectron2.same_mean(mean):
        raise SeglibError(
            f"{path} expects the pixel mean {mean.flatten().tolist()}: seglib knows only "
            "ImageNet's in BGR order"
        )
    pixel_std = state.get("pixel_std", torch.ones(3)).flatten()
    weights = OfficialWeights.renamed(
        path,
        {n: v for n, v in state.items() if not n.startswith(detectron2.IGNORED)},
        detectron2.our_name,
    )
    for name, value in weights.values.items():
        weights.values[name] = detectron2.to_ours(name, value, pixel_std)
    layout = {**rcnn_layout(weights), "stride_in_1x1": True}
    categories = coco_things(weights, MASK_LOGITS, background=1)
    stages = stage_count(weights)
    if stages:
        config = CascadeRCNNConfig.paper("detectron2")
        if stages != len(config.stage_ious):
            raise SeglibError(f"{path} has {stages} stages of box heads: seglib's cascade has 3")
        return filled(CascadeRCNN, config, layout, categories, weights)
    return filled(MaskRCNN, MaskRCNNConfig.detectron2(), layout, categories, weights)


def _mask_rcnn_from_torchvision(
    state: dict[str, Tensor], path: Path, norm_eps: float | None
) -> Segmenter:
    if norm_eps is None:
        frozen = not any(name.endswith("num_batches_tracked") for name in state)
        norm_eps = 0.0 if frozen else OUR_EPS
    weights = OfficialWeights.renamed(path, state, torchvision.our_name)
    _keep_coco_rows(weights)
    _change_eps(weights.values, norm_eps)
    categories = coco_things(weights, MASK_LOGITS, background=1)
    return filled(MaskRCNN, MaskRCNNConfig.paper(), rcnn_layout(weights), categories, weights)


def _fcn_from_torchvision(state: dict[str, Tensor], path: Path) -> Segmenter:
    config, categories = FCNConfig.paper("dilated"), voc_categories()
    weights = OfficialWeights.renamed(path, state, lambda name: f"network.{name}")
    backbone = resnet_layout(weights, "network.backbone")
    classes = weights.shape("network.classifier.4.weight", 4)[0]
    if classes != len(categories) + 1:
        raise SeglibError(f"{path} has {classes} classes, not background and VOC's 20")
    return filled(FCN, config, backbone, categories, weights)


def _yolact_from_authors(state: dict[str, Tensor], path: Path) -> Segmenter:
    weights = OfficialWeights.renamed(path, yolact.without_stale(state), yolact.our_name)
    categories = coco_categories()
    for part, dimensions in (("weight", 4), ("bias", 1)):
        name = f"head.class_logits.{part}"
        rows, *_ = weights.shape(name, dimensions)
        needed = yolact.ANCHORS * (len(categories) + 1)
        if rows != needed:
            raise SeglibError(
                f"{path}: {weights.origins[name]} has {rows} rows, not {needed}, one for each "
                f"anchor, COCO's {len(categories)} classes and background: seglib reads the COCO "
                "models of YOLACT, not those of Pascal VOC or of YOLACT++"
            )
        weights.values[name] = yolact.class_by_class(weights.values[name])
    return filled(YOLACT, YOLACTConfig.paper(), yolact_layout(weights), categories, weights)


def _keep_coco_rows(weights: OfficialWeights) -> None:
    """Leave out the ten of torchvision's 91 rows, COCO's ids 0…90, that belong to no category.

    A trained network gives these almost no probability, so that leaving them out of the
    softmax changes the scores very little.
    """
    ids = [0, *(category.coco_id for category in coco_categories())]
    for name, block, dimensions in (
        ("box_heads.head.cls_score", 1, 2),
        ("box_heads.head.bbox_pred", 4, 2),
        ("mask_branch.head.mask_fcn_logits", 1, 4),
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
    """Adapt norms that were trained with `old` added to their variance to our epsilon.

    A dead channel's published variance is far below 1e-5, so the difference goes into the scale:
    subtracted from the variance it would be lost in rounding.
    """
    if old == OUR_EPS:
        return
    for name, variance in values.items():
        if name.endswith(".running_var"):
            scale = name.removesuffix("running_var") + "weight"
            if scale not in values or values[scale].shape != variance.shape:
                continue  # `fill` names what does not fit
            exact = variance.double()
            factor = ((exact + OUR_EPS) / (exact + old)).sqrt()
            values[scale] = (values[scale].double() * factor).to(variance.dtype)
