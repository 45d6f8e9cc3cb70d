"""YOLACT's functions against vectors recorded from the official code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import ops
from seglib.models.targets import SizedTarget
from seglib.models.yolact.anchors import anchor_shapes, grid_of_anchors
from seglib.models.yolact.box_coder import decode_boxes, encode_boxes
from seglib.models.yolact.config import YOLACTConfig
from seglib.models.yolact.detection import select_across_classes, select_per_class
from seglib.models.yolact.losses import class_loss, mask_loss
from seglib.models.yolact.mask_samples import sample_masks
from seglib.models.yolact.masks import assemble_masks, boxes_in_cells, crop_masks, enlarge_masks
from seglib.models.yolact.semantic_branch import semantic_loss, semantic_targets
from seglib.models.yolact.targets import BatchTruth, anchor_targets, masks_in_cells
from seglib.ops.boxes import scale_boxes
from tests.helpers import Case, golden

UNIT = (1, 1)  # the canvas of relative coordinates


def tensor(array: np.ndarray) -> Tensor:
    return torch.from_numpy(array)


def truth_of(boxes: Tensor, labels: Tensor, masks: Tensor, crowds: Tensor) -> BatchTruth:
    """One image's objects with labels from 0."""
    objects = SizedTarget(boxes, labels + 1, masks)
    return BatchTruth(boxes[None], labels[None] + 1, crowds[None], [objects])


@pytest.mark.parametrize("case", golden("ssd_box_coder").values())
def test_box_coder(case: Case) -> None:
    given, out = case["in"], case["out"]
    anchors = tensor(given["priors"])
    encoded = encode_boxes(anchors, tensor(given["gt_boxes"]))
    decoded = decode_boxes(anchors, tensor(given["loc"]))
    torch.testing.assert_close(encoded, tensor(out["encoded"]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(decoded, tensor(out["decoded"]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", golden("yolact_priors").values())
def test_anchors(case: Case) -> None:
    par, out = case["par"], case["out"]
    side = int(par["max_size"])
    ratios, square = par["aspect_ratios"].tolist(), bool(par["square_anchors"])
    levels = [
        grid_of_anchors(anchor_shapes(sizes, ratios, square), (rows, columns), (side, side))
        for sizes, (rows, columns) in zip(
            par["scales"].tolist(), par["feature_sizes"].tolist(), strict=True
        )
    ]
    assert [len(level) for level in levels] == out["level_counts"].tolist()
    expected = tensor(out["priors"]).double()
    torch.testing.assert_close(torch.cat(levels) / side, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("case", golden("yolact_match").values())
def test_targets(case: Case) -> None:
    par, given, out = case["par"], case["in"], case["out"]
    anchors, boxes = tensor(given["priors"]), tensor(given["gt_boxes"])
    config = YOLACTConfig(
        positive_iou=float(par["pos_iou"]),
        negative_iou=float(par["neg_iou"]),
        crowd_overlap=float(par["crowd_iou"]),
    )
    crowds = F.pad(tensor(given["crowd_boxes"]), (0, 0, 0, 1))  # at least one row
    truth = truth_of(boxes, tensor(given["gt_labels"]), boxes.new_zeros(0), crowds)
    (labels,), (index,) = anchor_targets(anchors, truth, config)
    assert labels.tolist() == out["label"].tolist()
    positive = labels > 0
    assert index[positive].tolist() == tensor(out["gt_index"])[positive].tolist()
    deltas = encode_boxes(anchors[positive], boxes[index[positive]])
    expected = tensor(out["loc_target"])[positive]
    torch.testing.assert_close(deltas, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", golden("yolact_losses").values())
def test_losses(case: Case) -> None:
    par, given, out = case["par"], case["in"], case["out"]
    anchors, masks = tensor(given["priors"]), tensor(given["gt_masks_0"]).bool()
    canvas = (masks.shape[1], masks.shape[2])
    boxes, names = tensor(given["gt_boxes_0"]), tensor(given["gt_labels_0"])
    truth = truth_of(boxes, names, masks, boxes.new_zeros(1, 4))
    labels, index = anchor_targets(anchors, truth, YOLACTConfig())
    positive = labels[0] > 0
    count = int(positive.sum())
    assert count == out["num_positive"]

    deltas = encode_boxes(anchors[positive], boxes[index[0, positive]])
    box = F.smooth_l1_loss(tensor(given["loc"])[0, positive], deltas, reduction="sum")
    classes = class_loss(tensor(given["conf"]), labels, int(par["neg_pos_ratio"]))
    prototypes = tensor(given["proto"])[0].permute(2, 0, 1)
    sample = sample_masks(
        prototypes,
        tensor(given["mask"])[0, positive],
        index[0, positive],
        SizedTarget(scale_boxes(boxes, UNIT, canvas), names + 1, masks),
        canvas,
    )
    mask = mask_loss(sample.logits, sample.targets, sample.boxes)
    logits = tensor(given["segm"])
    cells = (logits.shape[-2], logits.shape[-1])
    shapes = masks_in_cells(masks, canvas, cells)
    semantic = semantic_loss(logits, semantic_targets([shapes], [names + 1], logits.shape[1]))
    found = {
        "loss_box": float(par["bbox_weight"]) * box / count,
        "loss_conf": float(par["conf_weight"]) * classes / count,
        "loss_mask": float(par["mask_weight"]) * mask / count,
        "loss_semantic": float(par["semantic_weight"]) * semantic,
    }
    for name, value in found.items():
        assert float(value) == pytest.approx(float(out[name]), rel=1e-4), name


@pytest.mark.parametrize("name", golden("yolact_fast_nms"))
def test_detections(name: str) -> None:
    case = golden("yolact_fast_nms")[name]
    par, given, out = case["par"], case["in"], case["out"]
    across = bool(par["cross_class"])
    config = YOLACTConfig(
        score_threshold=float(par["conf_thresh"]),
        nms_iou=float(par["nms_thresh"]),
        per_class=int(par["top_k"]),
        max_detections=int(par["max_num_detections"]),
    )
    select = select_across_classes if across else select_per_class
    found = select(tensor(given["boxes"]), tensor(given["conf"])[:, 1:], ops.fast_nms, config)
    assert found.classes.tolist() == out["classes"].tolist()
    for values, field in (
        (found.boxes, "boxes"),
        (found.scores, "scores"),
        (tensor(given["coefs"])[found.rows], "coefs"),
    ):
        torch.testing.assert_close(values, tensor(out[field]), rtol=0, atol=1e-6)
    if name == "chain":  # greedy NMS keeps the box that a suppressed one overlaps
        greedy = select(tensor(given["boxes"]), tensor(given["conf"])[:, 1:], ops.nms, config)
        assert (len(found.rows), len(greedy.rows)) == (1, 2)


@pytest.mark.parametrize("case", golden("yolact_masks").values())
def test_masks(case: Case) -> None:
    par, given, out = case["par"], case["in"], case["out"]
    prototypes = tensor(given["proto"]).permute(2, 0, 1)
    cells = (prototypes.shape[1], prototypes.shape[2])
    size = (int(par["height"]), int(par["width"]))
    boxes = tensor(given["boxes"])
    masks = assemble_masks(tensor(given["coefs"]), prototypes).sigmoid()
    cropped = crop_masks(masks, boxes_in_cells(boxes, UNIT, cells))
    torch.testing.assert_close(cropped, tensor(out["cropped"]), rtol=0, atol=1e-5)
    soft = enlarge_masks(cropped, UNIT, UNIT, size)
    sure = (soft - 0.5).abs() > 1e-5
    assert (~sure).sum() <= 6
    assert torch.equal((soft > 0.5)[sure], tensor(out["masks"]).bool()[sure])
    pixels = ops.clip_boxes(scale_boxes(boxes, UNIT, size).trunc(), size)
    assert pixels.tolist() == out["boxes_px"].tolist()
