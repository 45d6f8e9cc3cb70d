"""Small networks with random weights, in the names and layouts of published files."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import torch
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN as Reference
from torchvision.models.detection import faster_rcnn, mask_rcnn
from torchvision.models.detection._utils import overwrite_eps
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.resnet import Bottleneck as TheirBottleneck
from torchvision.models.resnet import ResNet as TheirResNet
from torchvision.ops import FrozenBatchNorm2d

from seglib.data.coco_categories import coco_categories, coco_panoptic_categories
from seglib.models.detr import DETR, DETRConfig
from seglib.models.yolact import YOLACT, YOLACTConfig
from seglib.pretrained.yolact_names import our_name as yolact_name
from tests.helpers import GOLDEN
from tests.modelling import randomize_statistics, randomize_zeros

UNUSED = sorted(set(range(1, 91)) - {c.coco_id for c in coco_categories()})


def randomized(model: nn.Module) -> nn.Module:
    """Random weights whose scores pass the thresholds, and norms with small variances."""
    for module in model.modules():
        if isinstance(module, FrozenBatchNorm2d):
            nn.init.uniform_(module.weight, 0.3, 0.6)
            nn.init.uniform_(module.bias, -0.1, 0.1)
            nn.init.uniform_(module.running_mean, -0.1, 0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            module.running_var[0] = 1e-6  # so that the epsilon matters
            module.weight[0] = 5e-4
    nn.init.normal_(model.rpn.head.cls_logits.weight, std=0.3)
    nn.init.normal_(model.rpn.head.bbox_pred.weight, std=0.02)
    predictor = model.roi_heads.box_predictor
    nn.init.normal_(predictor.cls_score.weight, std=0.3)
    nn.init.normal_(predictor.cls_score.bias, std=0.5)
    nn.init.normal_(predictor.bbox_pred.weight, std=0.05)
    with torch.no_grad():
        predictor.cls_score.bias[UNUSED] = -80.0  # as after training without these classes
    return model


def torchvision_mask_rcnn() -> nn.Module:
    """torchvision's Mask R-CNN for COCO's 91 ids, few channels, eps 0 as with published weights."""
    torch.manual_seed(0)
    resnet = TheirResNet(TheirBottleneck, [1, 2, 1, 1], norm_layer=FrozenBatchNorm2d)
    layers = {f"layer{n}": str(n - 1) for n in range(1, 5)}
    backbone = BackboneWithFPN(resnet, layers, [256, 512, 1024, 2048], 16)
    model = Reference(
        backbone,
        box_head=faster_rcnn.TwoMLPHead(16 * 49, 24),
        box_predictor=faster_rcnn.FastRCNNPredictor(24, 91),
        mask_head=mask_rcnn.MaskRCNNHeads(16, (12, 12, 12), 1),
        mask_predictor=mask_rcnn.MaskRCNNPredictor(12, 12, 91),
        min_size=96,
        max_size=128,
        box_score_thresh=0.01,
        box_detections_per_img=300,
    )
    randomized(model)
    overwrite_eps(model, 0.0)
    return model.eval()


def as_published(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The names in the file of 2019, which torchvision still reads."""
    renamed = {}
    for name, value in state.items():
        name = re.sub(r"(inner|layer)_blocks\.(\d)\.0\.", r"\1_blocks.\2.", name)
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        name = re.sub(
            r"mask_head\.(\d)\.0\.", lambda m: f"mask_head.mask_fcn{int(m[1]) + 1}.", name
        )
        renamed[name] = value
    return renamed


SMALL_DETR = {"width": 16, "blocks": (1, 1, 1, 1), "channels": 64, "hidden": 48, "queries": 7}
SMALL_DETR |= {"encoder_layers": 1, "decoder_layers": 2}


def small_detr(variant: str, **changes: object) -> DETR:
    torch.manual_seed(0)
    config = replace(DETRConfig.paper(variant), min_size=None, **SMALL_DETR, **changes)
    known = coco_panoptic_categories() if variant == "panoptic" else coco_categories()
    return randomize_zeros(randomize_statistics(DETR(config, known))).eval()


def detr_state(model: DETR, rows: int) -> dict[str, Tensor]:
    """The model's weights as the authors' file has them."""
    state = {}
    for name, value in model.state_dict().items():
        if name.startswith("class_embed."):
            by_id = torch.randn(rows, *value.shape[1:])
            by_id[[c.coco_id for c in model.categories]] = value[1:]
            by_id[-1] = value[0]
            value = by_id
        name = name.replace("backbone.", "backbone.0.body.", 1)
        panoptic = model.mask_head is not None and not name.startswith(("bbox_att", "mask_head"))
        state[f"detr.{name}" if panoptic else name] = value
    return state


def yolact_state() -> dict[str, Tensor]:
    """A narrow YOLACT with a ResNet-50, by the names in the authors' file."""
    torch.manual_seed(0)
    narrow = {"width": 4, "fpn_width": 8, "head_width": 8, "proto_width": 8}
    model = YOLACT(replace(YOLACTConfig.paper(), **narrow), coco_categories())
    ours = randomize_statistics(model).state_dict()
    layout = json.loads((GOLDEN / "whole" / "yolact_resnet50" / "layout.json").read_text())
    return {name: ours[yolact_name(name)] for name, *_ in layout}
