"""YOLACT: targets and losses by hand, rare inputs, its options, and what it starts from."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from seglib import ops, pretrained, use
from seglib.models import build_model
from seglib.models.targets import SizedTarget
from seglib.models.yolact import YOLACT, YOLACTConfig
from seglib.models.yolact.anchors import anchor_shapes, grid_of_anchors
from seglib.models.yolact.box_coder import decode_boxes, encode_boxes
from seglib.models.yolact.config import LossWeights
from seglib.models.yolact.detection import select_per_class
from seglib.models.yolact.losses import class_loss, hard_negatives, mask_loss
from seglib.models.yolact.mask_samples import sample_masks
from seglib.models.yolact.mask_scoring import MaskIoUNet, mask_iou_loss, mask_iou_targets
from seglib.models.yolact.masks import assemble_masks, crop_masks, enlarge_masks, inside_boxes
from seglib.models.yolact.semantic_branch import semantic_targets
from seglib.models.yolact.targets import (
    anchor_targets,
    assign_anchors,
    batch_truth,
    masks_in_cells,
    overlap_with_crowds,
)
from seglib.ops.boxes import LARGEST_LOG_RATIO, decode_deltas, encode_deltas, xyxy_to_cxcywh
from seglib.structures import Categories, Target
from tests.modelling import boxes_target, masks_target, randomize_statistics, some_categories

SIZE = (64, 80)


def tiny(**overrides: Any) -> YOLACT:
    """A pocket YOLACT with few channels and random weights."""
    torch.manual_seed(0)
    small = {"blocks": (1, 1, 1, 1), "width": 8, "fpn_width": 8, "proto_width": 8, "head_width": 8}
    model = build_model("yolact", some_categories(3), **{**small, **overrides})
    assert isinstance(model, YOLACT)
    return model


# Anchors and boxes


def test_anchors_by_hand() -> None:
    shapes = anchor_shapes([8.0], [1.0, 0.25], square=False)
    assert shapes.tolist() == [[8, 8], [4, 16]]
    # As in the released code: side 8 · sqrt(1/4) in both directions.
    assert anchor_shapes([8.0], [1.0, 0.25], square=True).tolist() == [[8, 8], [4, 4]]
    grid = grid_of_anchors(shapes, (1, 2), (10, 20))
    assert grid.tolist() == [[5, 5, 8, 8], [5, 5, 4, 16], [15, 5, 8, 8], [15, 5, 4, 16]]


def test_the_box_coder_by_hand_and_beside_the_one_that_clamps() -> None:
    anchor = torch.tensor([[10.0, 10, 4, 8]])
    box = torch.tensor([[9.0, 6, 13, 22]])  # centre (11, 14), sides 4 and 16
    deltas = encode_boxes(anchor, box)
    expected = [[1 / 4 / 0.1, 4 / 8 / 0.1, 0, math.log(2) / 0.2]]
    torch.testing.assert_close(deltas, torch.tensor(expected))
    torch.testing.assert_close(decode_boxes(anchor, deltas), box)
    corners = ops.cxcywh_to_xyxy(anchor)
    torch.testing.assert_close(encode_deltas(corners, box, (10, 10, 5, 5)), deltas)
    huge = torch.tensor([[0.0, 0, 5 * (LARGEST_LOG_RATIO + 1), 0]])
    ours, clamped = decode_boxes(anchor, huge), decode_deltas(corners, huge, (10, 10, 5, 5))
    ratio = xyxy_to_cxcywh(ours)[0, 2] / xyxy_to_cxcywh(clamped)[0, 2]
    assert ratio.item() == pytest.approx(math.e, rel=1e-4)


# Targets


def test_every_object_forces_the_best_anchor_that_is_left() -> None:
    # Objects a and b both like anchor 0 best; a more, so b gets anchor 1 though it overlaps little.
    iou = torch.tensor([[[0.9, 0.2, 0.1, 0.0], [0.8, 0.3, 0.45, 0.0]]])
    states, index = assign_anchors(iou, 0.5, 0.4)
    assert states.tolist() == [[1, 0, 1, 0]]  # b forces anchor 2, its best after 0
    assert index[0, [0, 2]].tolist() == [0, 1]
    # A missing object (row of −1) forces nothing.
    padded = torch.cat([iou, torch.full((1, 1, 4), -1.0)], dim=1)
    for found, expected in zip(assign_anchors(padded, 0.5, 0.4), (states, index), strict=True):
        assert torch.equal(found, expected)


def test_more_objects_than_anchors_leave_some_without() -> None:
    states, index = assign_anchors(torch.tensor([[[0.1], [0.3], [0.2]]]), 0.5, 0.4)
    assert (states.tolist(), index.tolist()) == ([[1]], [[1]])


def test_between_the_thresholds_and_inside_crowds_nothing_is_learned() -> None:
    states, _ = assign_anchors(torch.tensor([[[0.7, 0.45, 0.39, 0.0]]]), 0.5, 0.4)
    assert states.tolist() == [[1, -1, 0, 0]]
    corners = torch.tensor([[0.0, 0, 10, 10], [5.0, 0, 15, 10], [50.0, 0, 60, 10]])
    crowds = torch.tensor([[[0.0, 0, 12, 10], [0.0, 0, 0, 0]]])
    torch.testing.assert_close(
        overlap_with_crowds(corners, crowds), torch.tensor([[1.0, 0.7, 0.0]])
    )


def test_crowds_are_neither_objects_nor_background() -> None:
    model = tiny()
    target = boxes_target(SIZE, [(0, 0, 40, 40), (40, 0, 80, 64)], [1, 2], iscrowd=[False, True])
    image = torch.rand(3, *SIZE)
    with model.evaluating():
        output = model([image])
    truth = batch_truth([image], [target], output.batch, 3)
    assert truth.labels.tolist() == [[1]]
    labels, _ = anchor_targets(output.anchors, truth, model.config)
    inside = overlap_with_crowds(ops.cxcywh_to_xyxy(output.anchors), truth.crowds)[0] > 0.7
    assert inside.any()
    assert (labels[0, inside] != 0).all()


def test_masks_shrink_to_cells_that_are_more_than_half_full() -> None:
    mask = torch.zeros(1, 4, 4, dtype=torch.bool)
    mask[0, :2, :2] = True
    mask[0, 2:, 2] = True  # half of the last cell
    assert masks_in_cells(mask, (4, 4), (2, 2)).tolist() == [[[1, 0], [0, 0]]]
    assert masks_in_cells(mask, (4, 4), (2, 2), binary=False).tolist() == [[[1, 0], [0, 0.5]]]
    # At the top left of a padded canvas.
    assert masks_in_cells(mask, (8, 4), (4, 2)).tolist() == [[[1, 0], [0, 0], [0, 0], [0, 0]]]


# Losses


def test_hard_negatives_by_hand() -> None:
    logits = torch.zeros(2, 5, 2)
    logits[..., 1] = torch.tensor([3.0, 1, 5, 2, 4])  # how much each looks like an object
    labels = torch.tensor([[1, 0, -1, 0, 0], [0, 0, 0, 0, 0]])
    assert hard_negatives(logits, labels, 2).tolist() == [
        [False, False, False, True, True],  # not the neutral one, though it is the hardest
        [False] * 5,  # an image without objects
    ]
    expected = F.cross_entropy(logits[0, [0, 3, 4]], torch.tensor([1, 0, 0]), reduction="sum")
    torch.testing.assert_close(class_loss(logits, labels, 2), expected)


def test_the_mask_loss_is_cropped_to_the_true_box_and_divided_by_its_area() -> None:
    logits = torch.full((1, 8, 8), 2.0, requires_grad=True)
    targets = torch.zeros(1, 8, 8)
    boxes = torch.tensor([[2.0, 3.0, 4.0, 4.0]])  # 2 x 1 cells; with the margin 4 x 3
    loss = mask_loss(logits, targets, boxes)
    assert loss.item() == pytest.approx(12 * math.log1p(math.exp(2.0)) / 2, rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert (logits.grad != 0).sum() == 12


def test_sampling_scales_the_loss_up() -> None:
    objects = SizedTarget(
        torch.tensor([[0.0, 0, 8, 8]]), torch.tensor([2]), torch.ones(1, 8, 8, dtype=torch.bool)
    )
    prototypes, coefficients = torch.rand(3, 4, 4), torch.rand(10, 3)
    index = torch.zeros(10, dtype=torch.int64)
    some = sample_masks(prototypes, coefficients, index, objects, (8, 8), limit=4)
    every = sample_masks(prototypes, coefficients, index, objects, (8, 8))
    assert (len(some.logits), some.weight) == (4, 2.5)
    assert (len(every.logits), every.weight) == (10, 1.0)
    assert every.labels.tolist() == [2] * 10


def test_a_class_is_where_any_of_its_objects_is() -> None:
    masks = [torch.tensor([[[1.0, 1, 0]], [[0.0, 1, 0]], [[0.0, 0, 1]]]), torch.zeros(0, 1, 3)]
    labels = [torch.tensor([2, 2, 1]), torch.zeros(0, dtype=torch.int64)]
    maps = semantic_targets(masks, labels, 2)
    assert maps.tolist() == [[[[0, 0, 1]], [[1, 1, 0]]], [[[0, 0, 0]], [[0, 0, 0]]]]


def test_loss_weights_multiply_the_losses() -> None:
    image, target = torch.rand(3, *SIZE), boxes_target(SIZE, [(8, 8, 40, 40)], [2])
    ones = LossWeights(1.0, 1.0, 1.0, 1.0, 1.0)
    losses = {}
    for name, weights in (("paper", LossWeights()), ("ones", ones)):
        model = tiny(rescoring=True, loss_weights=weights).eval()
        torch.manual_seed(1)
        losses[name] = model.loss([image], [target])
    factors = {"class": 1.0, "box": 1.5, "mask": 6.125, "semantic": 1.0, "mask_iou": 25.0}
    for name, factor in factors.items():
        one = losses["ones"][f"{name}_loss"]
        torch.testing.assert_close(losses["paper"][f"{name}_loss"], factor * one)


# Masks and detections


def test_masks_are_sums_of_prototypes_that_may_subtract() -> None:
    prototypes = torch.tensor([[[1.0, 1, 0]], [[0.0, 1, 1]]])  # left two, right two
    masks = assemble_masks(torch.tensor([[1.0, -1.0], [0.5, 0.5]]), prototypes)
    assert masks.tolist() == [[[1, 0, -1]], [[0.5, 1, 0.5]]]


def test_a_crop_keeps_one_more_cell() -> None:
    inside = inside_boxes(torch.tensor([[2.5, 0.0, 4.0, 1.0], [4.0, 1.0, 2.5, 0.0]]), (3, 8))
    columns = [False, False, True, True, True, False, False, False]
    assert inside[0].tolist() == [columns, columns, [False] * 8]
    assert torch.equal(inside[0], inside[1])  # swapped corners
    masks = crop_masks(torch.ones(1, 3, 8), torch.tensor([[2.5, 0.0, 4.0, 1.0]]))
    assert masks.sum() == 6


def test_an_image_is_cut_out_of_the_padded_canvas() -> None:
    masks = torch.rand(2, 4, 4)
    whole = F.interpolate(masks[None], size=(8, 8), mode="bilinear")[0]
    found = enlarge_masks(masks, (8, 8), (8, 6), (8, 6))
    torch.testing.assert_close(found, whole[:, :, :6])


def test_every_class_of_an_anchor_or_those_that_score() -> None:
    boxes = torch.tensor([[0.0, 0, 4, 4], [10.0, 0, 14, 4]])
    scores = torch.tensor([[0.6, 0.02], [0.03, 0.04]])
    official = select_per_class(boxes, scores, ops.fast_nms, YOLACTConfig.paper())
    assert list(zip(official.rows.tolist(), official.classes.tolist(), strict=True)) == [
        (0, 0),
        (0, 1),
    ]
    ours = select_per_class(boxes, scores, ops.fast_nms, YOLACTConfig.pocket())
    assert (ours.rows.tolist(), ours.classes.tolist()) == ([0], [0])


def test_greedy_suppression_and_a_student_s_own() -> None:
    image = torch.rand(3, *SIZE)
    crowded = {"score_threshold": 0.0, "nms_iou": 0.3, "per_class": 60, "max_detections": 500}
    fast, greedy = (tiny(suppression=kind, **crowded) for kind in ("fast", "greedy"))
    greedy.load_state_dict(fast.state_dict())
    few, more = (len(model.predict([image])[0].instances) for model in (fast, greedy))
    assert 0 < few < more
    with use(fast_nms=ops.nms.native):
        assert len(fast.predict([image])[0].instances) == more


def test_across_classes_an_anchor_has_one_class() -> None:
    image = torch.rand(3, *SIZE)
    shared = {"score_threshold": 0.0, "nms_iou": 0.9, "per_class": 999, "max_detections": 5000}
    apart, together = tiny(**shared), tiny(across_classes=True, **shared)
    with apart.evaluating():
        (each,), (one,) = apart.detect(apart([image])), together.eval().detect(together([image]))
    assert len(set(one.rows.tolist())) == len(one.rows)
    assert len(set(each.rows.tolist())) < len(each.rows)


# Rare images, and images together

ONES, NO_PIXELS = [1, 1, 1], torch.zeros(1, *SIZE, dtype=torch.bool)
RARE: dict[str, list[Target]] = {
    "no objects": [boxes_target(SIZE, [], []), boxes_target(SIZE, [], [])],
    "one pixel": [boxes_target(SIZE, [(10, 20, 11, 21)], [1])],
    "only crowds": [boxes_target(SIZE, [(0, 0, 80, 64)], [1], iscrowd=[True])],
    "at the border": [boxes_target(SIZE, [(0, 0, 5, 64), (79, 0, 80, 64), (0, 63, 80, 64)], ONES)],
    "two in one cell": [boxes_target(SIZE, [(10, 10, 14, 14), (10, 10, 14, 14)], [1, 2])],
    "an empty mask": [replace(boxes_target(SIZE, [(8, 8, 30, 30)], [1]), masks=NO_PIXELS)],
    "some of each": [
        boxes_target(SIZE, [], []),
        boxes_target(SIZE, [(10, 20, 11, 21), (0, 0, 80, 64)], [1, 3], iscrowd=[False, True]),
    ],
}  # fmt: skip


@pytest.mark.parametrize("rescoring", [False, True])
@pytest.mark.parametrize("kind", RARE)
def test_rare_images_give_finite_losses_and_gradients(kind: str, rescoring: bool) -> None:
    targets, model = RARE[kind], tiny(rescoring=rescoring)
    losses = model.loss([torch.rand(3, *SIZE) for _ in targets], targets)
    assert ("mask_iou_loss" in losses) == rescoring
    torch.stack(list(losses.values())).sum().backward()
    assert all(bool(loss.isfinite()) for loss in losses.values())
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    if kind == "no objects":
        assert [losses[f"{name}_loss"].item() for name in ("class", "box", "mask")] == [0, 0, 0]


def test_an_image_is_predicted_as_if_it_were_alone() -> None:
    model = randomize_statistics(tiny(score_threshold=0.0, max_detections=50))
    images = [torch.rand(3, *SIZE), torch.rand(3, 90, 70)]
    together = model.predict([images[1], images[0], images[0]])
    (alone,) = model.predict(images[:1])
    assert len(alone.instances) == 50
    for found in together[1:]:
        scores, masks = found.instances.scores, found.instances.masks
        torch.testing.assert_close(scores, alone.instances.scores, rtol=1e-5, atol=0)
        assert torch.equal(masks, alone.instances.masks)


def test_official_images_are_stretched_to_a_square() -> None:
    model = tiny(conventions="official", image_size=64, score_threshold=0.0)
    image = torch.rand(3, 40, 100)
    assert model.prepare([image]).sizes == [(64, 64)]
    assert tiny(image_size=64).prepare([image]).sizes == [(26, 64)]
    boxes = model.predict([image])[0].instances.boxes
    assert torch.equal(boxes, boxes.trunc())


# Re-scoring


def test_re_scoring_multiplies_scores_by_the_predicted_iou() -> None:
    image = torch.rand(3, *SIZE)
    options: dict[str, Any] = {"score_threshold": 0.0, "max_detections": 30}
    plain, scored = tiny(**options), tiny(rescoring=True, **options)
    missing = pretrained.copy_matching(scored, plain)
    assert missing == [name for name in scored.state_dict() if name.startswith("mask_iou_net.")]
    with plain.evaluating():
        (found,) = plain.detect(plain([image]))
    (before,), (after,) = plain.predict([image]), scored.predict([image])
    assert torch.equal(before.instances.scores, found.scores)
    scores = after.instances.scores
    assert torch.equal(scores, scores.sort(descending=True).values)
    assert not torch.allclose(scores, before.instances.scores)


def test_the_predicted_iou_learns_from_large_masks_of_the_right_class() -> None:
    masks = torch.zeros(2, 8, 8)
    masks[0, :6], masks[1, 0, 0] = 0.9, 0.9
    truth = torch.zeros(2, 8, 8)
    truth[0, :4], truth[1, 0, :2] = 1, 1
    assert mask_iou_targets(masks, truth).tolist() == pytest.approx([32 / 48, 0.5])
    predicted = torch.tensor([[0.0, 0.5], [0.0, 0.0]])
    loss = mask_iou_loss(predicted, torch.tensor([2, 1]), masks, truth)
    assert loss.item() == pytest.approx(0.5 * (32 / 48 - 0.5) ** 2)  # the second is too small
    assert MaskIoUNet(3)(torch.rand(2, 5, 70)).shape == (2, 3)
    assert MaskIoUNet(3)(torch.rand(0, 63, 63)).shape == (0, 3)


# What it can express, and what it starts from


def test_a_perfect_prediction_is_limited_by_the_prototypes() -> None:
    model = tiny()
    image = torch.rand(3, *SIZE)
    aligned = boxes_target(SIZE, [(8, 8, 40, 40), (2, 50, 20, 60)], [1, 2])
    found = model.perfect(image, aligned).instances
    assert torch.equal(found.masks, aligned.masks)
    checks = (torch.arange(SIZE[0])[:, None] + torch.arange(SIZE[1])) % 2 == 0
    fine = masks_target((checks & aligned.masks[:1]), [1])
    assert not torch.equal(model.perfect(image, fine).instances.masks, fine.masks)
    with model.evaluating():
        assert model.prototype_size((80, 80)) == model([image]).cells == (40, 40)
        odd = torch.rand(3, 37, 51)
        assert model.prototype_size((51, 51)) == model([odd]).cells


def test_it_starts_from_the_backbone_of_the_shipped_mask_rcnn() -> None:
    trained = pretrained.load("mask_rcnn")
    model = build_model("yolact", trained.categories)
    own = model.state_dict().keys()
    assert set(own) - set(pretrained.copy_matching(model, trained)) == {
        name for name in own if name.startswith("backbone.")
    }
    weight = "backbone.layer1.0.conv1.weight"
    assert torch.equal(model.state_dict()[weight], trained.state_dict()[weight])
    assert sum(parameter.numel() for parameter in model.parameters()) < 2.9e6


def test_other_classes_take_over_the_shared_ones() -> None:
    model = tiny(rescoring=True).eval()
    one, _, three = model.categories
    fewer = Categories([replace(three, label=1), replace(one, label=2)])
    other = pretrained.rehead(model, fewer)
    assert isinstance(other, YOLACT)
    image = torch.rand(3, *SIZE)
    with model.evaluating(), other.evaluating():
        before, after = model([image]), other([image])
        labels = [0, three.label, one.label]  # background first
        logits = before.of_anchors.class_logits[..., labels]
        torch.testing.assert_close(after.of_anchors.class_logits, logits)
        torch.testing.assert_close(after.of_anchors.coefficients, before.of_anchors.coefficients)
        maps = model.semantic(before.pyramid[0])[:, [2, 0]]
        torch.testing.assert_close(other.semantic(after.pyramid[0]), maps)
        masks = torch.rand(2, *before.cells)
        qualities = [net.mask_iou_net(masks) for net in (model, other)]
        torch.testing.assert_close(qualities[1], qualities[0][:, [2, 0]])


def test_soft_targets_are_an_option() -> None:
    image = torch.rand(3, *SIZE)
    shape = torch.zeros(1, *SIZE, dtype=torch.bool)
    shape[0, 9:30, 9:31] = True
    target = masks_target(shape, [1])

    def mask_term(binary: bool) -> Tensor:
        torch.manual_seed(1)
        return tiny(binary_targets=binary).eval().loss([image], [target])["mask_loss"]

    assert mask_term(True) != mask_term(False)


@pytest.mark.parametrize("rescoring", [False, True])
@pytest.mark.parametrize("across_classes", [False, True])
def test_it_may_find_nothing(rescoring: bool, across_classes: bool) -> None:
    model = tiny(score_threshold=1.0, rescoring=rescoring, across_classes=across_classes)
    (found,) = model.predict([torch.rand(3, *SIZE)])
    assert found.instances.masks.shape == (0, *SIZE)
    assert found.instances.boxes.shape == (0, 4)
