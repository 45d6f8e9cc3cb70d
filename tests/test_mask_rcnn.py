"""Mask R-CNN by itself: its contract, its sampling, its limits, its errors."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.distributed import image_generators
from seglib.models import build_model
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.box_targets import label_boxes, sample_boxes
from seglib.models.mask_rcnn.config import MaskRCNNConfig, RPNRules
from seglib.models.mask_rcnn.pooler import PyramidPooler
from seglib.models.targets import SizedTarget, sized_targets
from seglib.ops.boxes import scale_boxes
from seglib.ops.detections import Detections
from seglib.ops.masks import mask_iou
from seglib.ops.roi_align import roi_align
from seglib.ops.roi_pool import roi_pool
from seglib.pretrained import rehead
from seglib.structures import ImageBatch, Target
from tests.modelling import boxes_target, randomize_statistics, some_categories


@pytest.fixture
def model() -> MaskRCNN:
    torch.manual_seed(0)
    made = build_model("mask_rcnn", some_categories(3))
    assert isinstance(made, MaskRCNN)
    torch.nn.init.normal_(made.box_heads.head.cls_score.weight, std=0.3)
    torch.nn.init.normal_(made.rpn.head.cls_logits.weight, std=0.3)
    return randomize_statistics(made)


@pytest.fixture
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=generator) for size in ((64, 96), (50, 70))]


def test_losses_are_finite_and_reach_every_part(model: MaskRCNN, images: list[Tensor]) -> None:
    targets = [
        boxes_target((64, 96), [[10, 10, 50, 40], [60, 30, 90, 60]], [1, 3]),
        boxes_target((50, 70), [[5, 5, 20, 40]], [2]),
    ]
    losses = model.train().loss(images, targets)
    assert list(losses) == [
        "objectness_loss",
        "rpn_box_loss",
        "class_loss",
        "box_loss",
        "mask_loss",
    ]
    assert all(loss.isfinite() and loss > 0 for loss in losses.values())
    sum(losses.values()).backward()
    silent = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert silent == []


def test_from_an_image_without_objects_it_learns_background(
    model: MaskRCNN, images: list[Tensor]
) -> None:
    losses = model.train().loss(images[:1], [boxes_target((64, 96), [], [])])
    assert losses["objectness_loss"] > 0
    assert losses["class_loss"] > 0
    assert losses["rpn_box_loss"] == losses["box_loss"] == losses["mask_loss"] == 0
    sum(losses.values()).backward()


def test_predictions_have_each_image_s_size(model: MaskRCNN, images: list[Tensor]) -> None:
    for image, prediction in zip(images, model.predict(images), strict=True):
        found = prediction.instances
        assert found is not None
        assert 0 < len(found) <= 100
        assert found.masks is not None
        assert found.masks.shape == (len(found), *image.shape[-2:])
        assert found.masks.dtype == torch.bool
        assert bool((found.scores.diff() <= 0).all())
        height, width = image.shape[-2:]
        assert bool((found.boxes >= 0).all())
        assert bool((found.boxes <= torch.tensor([width, height, width, height])).all())
    assert model.training


def test_padding_changes_a_prediction_very_little(model: MaskRCNN, images: list[Tensor]) -> None:
    """An image as large as the canvas has the same prediction alone and beside a smaller one."""
    alone = model.predict(images[:1])[0].instances
    beside = model.predict(images)[0].instances
    assert alone is not None
    assert beside is not None
    torch.testing.assert_close(alone.scores[:10], beside.scores[:10], rtol=1e-4, atol=1e-5)


def test_samples_depend_on_step_and_image_not_on_the_batch() -> None:
    torch.manual_seed(5)
    first, second = image_generators([7, 9])
    torch.manual_seed(5)
    (alone,) = image_generators([9])
    next_step = image_generators([9])[0]
    sampled = [torch.randperm(50, generator=g).tolist() for g in (first, second, alone, next_step)]
    assert sampled[1] == sampled[2]
    assert sampled[0] != sampled[1]
    assert sampled[3] != sampled[2]


def test_boxes_learn_the_object_they_overlap_most() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    truth = SizedTarget(objects, torch.tensor([2, 3]), torch.zeros(2, 40, 60, dtype=torch.bool))
    boxes = torch.tensor([[0.0, 0, 10, 10], [21, 0, 31, 10], [0, 0, 10, 4], [50, 50, 60, 60]])
    labelled = label_boxes(boxes, truth, iou=0.5)
    assert labelled.labels.tolist() == [2, 3, 0, 0]
    assert labelled.index[:2].tolist() == [0, 1]
    assert labelled.image_size == (40, 60)
    # The second box is 10 px wide, and its object lies 1 px, a tenth of that, to the left.
    torch.testing.assert_close(labelled.deltas((10, 10, 5, 5))[1], torch.tensor([-1.0, 0, 0, 0]))
    sampled = sample_boxes(labelled, count=3, fraction=0.34, generator=torch.Generator())
    assert (sampled.labels > 0).sum() == 1
    assert len(sampled.labels) == 3


def test_without_objects_every_box_is_background() -> None:
    nothing = SizedTarget(
        torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), torch.zeros(0, 9, 9, dtype=torch.bool)
    )
    labelled = label_boxes(torch.tensor([[0.0, 0, 5, 5]]), nothing, iou=0.5)
    assert labelled.labels.tolist() == labelled.index.tolist() == [0]
    assert labelled.deltas((1, 1, 1, 1)).tolist() == [[0, 0, 0, 0]]


def test_pooler_reads_each_box_from_its_level() -> None:
    pyramid = [torch.randn(2, 4, 32 // 2**level, 32 // 2**level) for level in range(4)]
    boxes = [torch.tensor([[0.0, 0, 100, 100], [3, 4, 20, 30]]), torch.tensor([[8.0, 8, 72, 80]])]
    pooler = PyramidPooler(3, (4, 8, 16, 32), canonical_size=64, sampling_ratio=2, aligned=True)
    pooled = pooler(pyramid, boxes)
    # ⌊4 + log2(side / 64)⌋: 100 px reads stride 16, 21 px stride 4, 68 px stride 16.
    for row, (image, level, box) in enumerate(
        [(0, 2, boxes[0][0]), (0, 0, boxes[0][1]), (1, 2, boxes[1][0])]
    ):
        roi = torch.cat([torch.tensor([float(image)]), box])[None]
        expected = roi_align(pyramid[level], roi, 3, 1 / (4 * 2**level), 2, True)
        torch.testing.assert_close(pooled[row : row + 1], expected)


def test_targets_follow_the_resized_image() -> None:
    image = torch.rand(3, 40, 60)
    truth = boxes_target((40, 60), [[10, 10, 30, 20]], [1])
    batch = ImageBatch(torch.zeros(1, 3, 96, 128), [(80, 120)])
    (sized,) = sized_targets([image], [truth], batch, classes=3)
    assert sized.boxes.tolist() == [[20, 20, 60, 40]]
    assert sized.masks.shape == (1, 80, 120)
    assert sized.masks.sum() == 40 * 20
    assert scale_boxes(sized.boxes, (80, 120), (40, 60)).tolist() == [[10, 10, 30, 20]]


def test_crowds_and_empty_boxes_are_left_out() -> None:
    truth = boxes_target((40, 60), [[10, 10, 30, 20], [0, 0, 5, 5]], [1, 2])
    truth.iscrowd[0] = True
    batch = ImageBatch(torch.zeros(1, 3, 64, 64), [(40, 60)])
    (sized,) = sized_targets([torch.rand(3, 40, 60)], [truth], batch, classes=3)
    assert sized.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (boxes_target((64, 96), [[1, 1, 9, 9]], [4]), r"labels \[4\].*knows 1…3"),
        (boxes_target((32, 32), [[1, 1, 9, 9]], [1]), r"masks of size \[32, 32\].*\[64, 96\]"),
    ],
)
def test_wrong_targets_are_named(
    model: MaskRCNN, images: list[Tensor], wrong: Target, message: str
) -> None:
    with pytest.raises(SeglibError, match=message):
        model.loss(images[:1], [wrong])


def test_published_resizing_uses_the_shorter_side() -> None:
    model = build_model("mask_rcnn", some_categories(1), min_size=64, max_size=100)
    assert model.resize(torch.rand(3, 128, 160)).shape == (3, 64, 80)
    assert model.resize(torch.rand(3, 32, 100)).shape == (3, 32, 100)


def test_frozen_stages_do_not_train() -> None:
    model = build_model("mask_rcnn", some_categories(1), frozen_stages=2)
    frozen = {n.split(".")[1] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}
    with pytest.raises(SeglibError, match="cannot freeze 9 parts"):
        build_model("mask_rcnn", some_categories(1), frozen_stages=9)


def test_config_is_restored_from_plain_values() -> None:
    config: ModelConfig = replace(MaskRCNNConfig.pocket(), rois=7)
    values = config.to_dict()
    assert values["rpn"]["sampled"] == 128
    values["anchor_sizes"] = [list(size) for size in values["anchor_sizes"]]  # as JSON has it
    assert MaskRCNNConfig.from_dict(values) == config


def test_rehead_keeps_shared_classes(model: MaskRCNN) -> None:
    fewer = rehead(model, some_categories(2))
    assert isinstance(fewer, MaskRCNN)
    kept, given = fewer.box_heads.head, model.box_heads.head
    torch.testing.assert_close(kept.cls_score.weight, given.cls_score.weight[:3])
    torch.testing.assert_close(kept.bbox_pred.bias, given.bbox_pred.bias[:12])


@pytest.mark.parametrize("options", [{"pooling": "pool"}, {"mask_competition": "softmax"}])
def test_ablations_train(options: dict[str, str], images: list[Tensor]) -> None:
    model = build_model("mask_rcnn", some_categories(3), **options)
    losses = model.loss(images[:1], [boxes_target((64, 96), [[10, 10, 50, 40]], [1])])
    assert all(bool(loss.isfinite()) for loss in losses.values())
    sum(losses.values()).backward()


def test_the_ablation_of_pooling_rounds() -> None:
    torch.manual_seed(0)
    pyramid, boxes = torch.randn(1, 4, 16, 16), torch.tensor([[3.0, 4, 29, 22]])
    pooler = PyramidPooler(3, (4,), 64, sampling_ratio=2, aligned=True, pooling="pool")
    roi = torch.cat([torch.zeros(1, 1), boxes], dim=1)
    torch.testing.assert_close(pooler([pyramid], [boxes]), roi_pool(pyramid, roi, 3, 0.25))
    model = build_model("mask_rcnn", some_categories(3), pooling="pool")
    assert model.box_heads.pooler.pooling == model.mask_branch.pooler.pooling == "pool"


def test_the_ablation_of_masks_lets_classes_compete() -> None:
    model = build_model("mask_rcnn", some_categories(3), mask_competition="softmax").eval()
    boxes = torch.tensor([[10.0, 10, 50, 40]])
    pyramid = tuple(torch.randn(1, 64, 64 // 2**n, 96 // 2**n) for n in range(1, 6))
    found = Detections(boxes, torch.ones(1), torch.tensor([1]), torch.tensor([0]))
    with torch.no_grad():
        (masks,) = model.mask_branch.masks(pyramid, [found])
        logits = model.mask_branch(pyramid, [found.boxes])
    torch.testing.assert_close(masks, logits.softmax(1)[:, 2])


@pytest.mark.parametrize(("conventions", "beta"), [("torchvision", 1 / 9), ("detectron2", 0.0)])
def test_both_box_losses_follow_the_reference(conventions: str, beta: float) -> None:
    model = build_model("mask_rcnn", some_categories(1), conventions=conventions)
    assert model.rpn.box_beta == model.reference.box_beta == beta


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchor_sizes": ((8,),) * 6}, "anchor_sizes has 6 levels, the pyramid 5"),
        ({"rpn": RPNRules(positive_iou=0.3, negative_iou=0.7)}, "negative_iou=0.7 above positive"),
    ],
)
def test_numbers_that_contradict_each_other_are_refused(options: dict, message: str) -> None:
    with pytest.raises(SeglibError, match=message):
        replace(MaskRCNNConfig.pocket(), **options)


def test_a_perfect_prediction_has_the_true_boxes_and_masks(
    model: MaskRCNN, images: list[Tensor]
) -> None:
    truth = boxes_target((64, 96), [[10, 10, 50, 40], [60, 30, 90, 60], [0, 0, 20, 20]], [1, 3, 2])
    truth.iscrowd[2] = True
    prediction = model.perfect(images[0], truth)
    found = prediction.instances
    assert prediction.size == (64, 96)
    assert torch.equal(found.boxes, truth.boxes[:2])
    assert found.labels.tolist() == [1, 3]
    assert found.scores.tolist() == [1, 1]
    # Rectangles fill their boxes, which 28 x 28 cells can express.
    assert torch.equal(found.masks, truth.masks[:2])
    assert model.output_form.numbers == {"cells": 28}
    with pytest.raises(SeglibError, match="masks of size"):
        model.perfect(images[1], truth)


def test_a_perfect_prediction_is_limited_by_the_cells(images: list[Tensor]) -> None:
    """A checkerboard of single pixels is finer than the cells of the mask head."""
    truth = boxes_target((64, 96), [[0, 0, 64, 64]], [1])
    truth.masks[0] &= (torch.arange(64)[:, None] + torch.arange(96)) % 2 == 0
    model = build_model("mask_rcnn", some_categories(3))
    found = model.perfect(images[0], truth).instances
    assert mask_iou(found.masks, truth.masks).item() < 0.6


def test_a_perfect_prediction_may_be_empty(model: MaskRCNN, images: list[Tensor]) -> None:
    found = model.perfect(images[0], boxes_target((64, 96), [], [])).instances
    assert len(found) == 0
    assert found.masks.shape == (0, 64, 96)


def test_a_nested_field_that_is_unknown_is_named() -> None:
    values = MaskRCNNConfig.pocket().to_dict()
    values["rpn"]["beta"] = 1
    with pytest.raises(SeglibError, match="RPNRules has no field beta"):
        MaskRCNNConfig.from_dict(values)


def test_pocket_preset_is_small() -> None:
    model = build_model("mask_rcnn", some_categories(16))
    assert 1e6 < sum(p.numel() for p in model.parameters()) < 3e6


def test_the_heads_may_read_finer_levels_than_the_rpn() -> None:
    model = build_model("mask_rcnn", some_categories(2)).eval()
    with torch.no_grad():
        output = model([torch.rand(3, 64, 96)])
    assert [batch.shape[-2:] for batch in output.pyramid] == [
        (32, 48), (16, 24), (8, 12), (4, 6), (2, 3),
    ]  # fmt: skip
    cells = [len(anchors) // 3 for anchors in output.rpn.anchors]
    assert cells == [16 * 24, 8 * 12, 4 * 6, 2 * 3]
    assert model.box_heads.pooler.strides == (2, 4, 8, 16)
