"""Mask R-CNN by itself: its contract, its draws, its limits, its errors."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from seglib import SeglibError
from seglib.distributed import image_generators
from seglib.models import build_model
from seglib.models.config import ModelConfig
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.heads import PyramidPooler
from seglib.models.mask_rcnn.sampling import label_boxes, sample_boxes
from seglib.models.targets import scale_boxes, sized_targets
from seglib.ops.detections import Detections
from seglib.ops.roi_align import roi_align
from seglib.ops.roi_pool import roi_pool
from seglib.pretrained import rehead
from seglib.structures import ImageBatch, Target
from tests.modelling import randomize_statistics, some_categories


def target(size: tuple[int, int], boxes: list[list[int]], labels: list[int]) -> Target:
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
    return Target(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.int64),
        masks=masks,
        iscrowd=torch.zeros(len(boxes), dtype=torch.bool),
        area=masks.sum((1, 2)).float(),
        size=size,
        image_id=3,
    )


@pytest.fixture
def model() -> MaskRCNN:
    torch.manual_seed(0)
    made = build_model("mask_rcnn", some_categories(3))
    assert isinstance(made, MaskRCNN)
    torch.nn.init.normal_(made.box_head.cls_score.weight, std=0.3)
    torch.nn.init.normal_(made.rpn.head.cls_logits.weight, std=0.3)
    return randomize_statistics(made)


@pytest.fixture
def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(3, *size, generator=generator) for size in ((64, 96), (50, 70))]


def test_losses_are_finite_and_reach_every_part(model: MaskRCNN, images: list[Tensor]) -> None:
    targets = [
        target((64, 96), [[10, 10, 50, 40], [60, 30, 90, 60]], [1, 3]),
        target((50, 70), [[5, 5, 20, 40]], [2]),
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


def test_an_image_without_objects_teaches_background(model: MaskRCNN, images: list[Tensor]) -> None:
    losses = model.train().loss(images[:1], [target((64, 96), [], [])])
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


def test_padding_changes_nothing_that_matters(model: MaskRCNN, images: list[Tensor]) -> None:
    """An image of the canvas's own size gives the same alone and beside a smaller one."""
    alone = model.predict(images[:1])[0].instances
    beside = model.predict(images)[0].instances
    assert alone is not None
    assert beside is not None
    torch.testing.assert_close(alone.scores[:10], beside.scores[:10], rtol=1e-4, atol=1e-5)


def test_draws_depend_on_step_and_image_not_on_the_batch() -> None:
    torch.manual_seed(5)
    first, second = image_generators([7, 9])
    torch.manual_seed(5)
    (alone,) = image_generators([9])
    next_step = image_generators([9])[0]
    drawn = [torch.randperm(50, generator=g).tolist() for g in (first, second, alone, next_step)]
    assert drawn[1] == drawn[2]
    assert drawn[0] != drawn[1]
    assert drawn[3] != drawn[2]


def test_boxes_learn_the_object_they_overlap_most() -> None:
    objects = torch.tensor([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    boxes = torch.tensor([[0.0, 0, 10, 10], [21, 0, 31, 10], [0, 0, 10, 4], [50, 50, 60, 60]])
    labelled = label_boxes(boxes, objects, torch.tensor([2, 3]), iou=0.5)
    assert labelled.labels.tolist() == [2, 3, 0, 0]
    assert labelled.index[:2].tolist() == [0, 1]
    drawn = sample_boxes(labelled, count=3, fraction=0.34, generator=torch.Generator())
    assert (drawn.labels > 0).sum() == 1
    assert len(drawn.labels) == 3


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
    truth = target((40, 60), [[10, 10, 30, 20]], [1])
    batch = ImageBatch(torch.zeros(1, 3, 96, 128), [(80, 120)])
    (sized,) = sized_targets([image], [truth], batch, classes=3)
    assert sized.boxes.tolist() == [[20, 20, 60, 40]]
    assert sized.masks.shape == (1, 80, 120)
    assert sized.masks.sum() == 40 * 20
    assert scale_boxes(sized.boxes, (80, 120), (40, 60)).tolist() == [[10, 10, 30, 20]]


def test_crowds_and_empty_boxes_are_left_out() -> None:
    truth = target((40, 60), [[10, 10, 30, 20], [0, 0, 5, 5]], [1, 2])
    truth.iscrowd[0] = True
    batch = ImageBatch(torch.zeros(1, 3, 64, 64), [(40, 60)])
    (sized,) = sized_targets([torch.rand(3, 40, 60)], [truth], batch, classes=3)
    assert sized.labels.tolist() == [2]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (target((64, 96), [[1, 1, 9, 9]], [4]), r"labels \[4\].*knows 1…3"),
        (target((32, 32), [[1, 1, 9, 9]], [1]), r"masks of size \[32, 32\].*\[64, 96\]"),
    ],
)
def test_wrong_targets_are_named(
    model: MaskRCNN, images: list[Tensor], wrong: Target, message: str
) -> None:
    with pytest.raises(SeglibError, match=message):
        model.loss(images[:1], [wrong])


def test_published_resizing_goes_by_the_shorter_side() -> None:
    model = build_model("mask_rcnn", some_categories(1), min_size=64, max_size=100)
    assert model.resize(torch.rand(3, 128, 160)).shape == (3, 64, 80)
    assert model.resize(torch.rand(3, 32, 100)).shape == (3, 32, 100)


def test_frozen_stages_do_not_train() -> None:
    model = build_model("mask_rcnn", some_categories(1), frozen_stages=2)
    frozen = {n.split(".")[1] for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen == {"conv1", "bn1", "layer1"}
    with pytest.raises(SeglibError, match="cannot freeze 9 parts"):
        build_model("mask_rcnn", some_categories(1), frozen_stages=9)


def test_config_comes_back_from_plain_values() -> None:
    config: ModelConfig = replace(MaskRCNNConfig.pocket(), rois=7)
    values = config.to_dict()
    assert values["rpn"]["sampled"] == 128
    values["anchor_sizes"] = [list(size) for size in values["anchor_sizes"]]  # as JSON has it
    assert MaskRCNNConfig.from_dict(values) == config


def test_rehead_keeps_shared_classes(model: MaskRCNN) -> None:
    fewer = rehead(model, some_categories(2))
    assert isinstance(fewer, MaskRCNN)
    torch.testing.assert_close(fewer.box_head.cls_score.weight, model.box_head.cls_score.weight[:3])
    torch.testing.assert_close(fewer.box_head.bbox_pred.bias, model.box_head.bbox_pred.bias[:12])


@pytest.mark.parametrize("options", [{"pooling": "pool"}, {"mask_competition": "softmax"}])
def test_ablations_train(options: dict[str, str], images: list[Tensor]) -> None:
    model = build_model("mask_rcnn", some_categories(3), **options)
    losses = model.loss(images[:1], [target((64, 96), [[10, 10, 50, 40]], [1])])
    assert all(bool(loss.isfinite()) for loss in losses.values())
    sum(losses.values()).backward()


def test_the_ablation_of_pooling_rounds() -> None:
    torch.manual_seed(0)
    pyramid, boxes = torch.randn(1, 4, 16, 16), torch.tensor([[3.0, 4, 29, 22]])
    pooler = PyramidPooler(3, (4,), 64, sampling_ratio=2, aligned=True, pooling="pool")
    roi = torch.cat([torch.zeros(1, 1), boxes], dim=1)
    torch.testing.assert_close(pooler([pyramid], [boxes]), roi_pool(pyramid, roi, 3, 0.25))
    model = build_model("mask_rcnn", some_categories(3), pooling="pool")
    assert (model.box_pooler.pooling, model.mask_pooler.pooling) == ("pool", "pool")


def test_the_ablation_of_masks_lets_classes_compete() -> None:
    model = build_model("mask_rcnn", some_categories(3), mask_competition="softmax").eval()
    boxes = torch.tensor([[10.0, 10, 50, 40]])
    pyramid = tuple(torch.randn(1, 64, 64 // 2**n, 96 // 2**n) for n in range(1, 6))
    found = Detections(boxes, torch.ones(1), torch.tensor([1]), torch.tensor([0]))
    with torch.no_grad():
        (masks,) = model.masks(pyramid, [found])
        logits = model.mask_head(model.mask_pooler(pyramid, [found.boxes]))
    torch.testing.assert_close(masks, logits.softmax(1)[:, 2])


@pytest.mark.parametrize(("conventions", "beta"), [("torchvision", 1 / 9), ("detectron2", 0.0)])
def test_both_box_losses_follow_the_reference(conventions: str, beta: float) -> None:
    model = build_model("mask_rcnn", some_categories(1), conventions=conventions)
    assert model.rpn.box_beta == model.reference.box_beta == beta


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
    assert model.box_pooler.strides == (2, 4, 8, 16)
