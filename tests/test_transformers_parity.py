"""DETR, MaskFormer and Mask2Former equal those of `transformers` with copied random weights."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from seglib.models.detr import DETR, DETRConfig
from seglib.models.detr.objects import object_batch
from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.models.maskformer.segments import segment_batch
from seglib.pretrained.transformers_names import (
    detr_state_from_transformers,
    mask2former_state_from_transformers,
    maskformer_state_from_transformers,
)
from seglib.structures import Categories, Target
from tests.modelling import boxes_target, randomize_statistics, some_categories
from tests.parity import assert_same
from tests.set_prediction import ours
from tests.transformers_models import (
    CHANNELS,
    CLASSES,
    QUERIES,
    WithEncoder,
    detr_options,
    resnet,
    spread,
    transformers,
)

SIZES = [(96, 128), (64, 96)]  # the second image is padded
SMALL = {"width": 64, "blocks": (1, 1, 1, 1), "channels": CHANNELS, "heads": 8}
SMALL |= {"min_size": None, "hidden": 48, "decoder_layers": 2, "dropout": 0.0, "queries": QUERIES}


@pytest.fixture
def double_by_default():
    """The loss of `transformers` makes tensors of the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def images() -> list[Tensor]:
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(3, *size, generator=generator, dtype=torch.float64) for size in SIZES]


def targets() -> list[Target]:
    return [
        boxes_target(SIZES[0], [(8, 8, 40, 40), (50, 20, 120, 90), (0, 60, 30, 96)], [2, 5, 1]),
        boxes_target(SIZES[1], [(4, 10, 60, 50)], [3]),
    ]


@pytest.fixture(scope="module")
def detr_pair() -> tuple[nn.Module, DETR]:
    torch.manual_seed(0)
    config = transformers.DetrConfig(backbone_config=resnet("stage4"), **detr_options())
    theirs = spread(transformers.DetrForObjectDetection(config)).double().eval()
    paper = replace(DETRConfig.paper(), encoder_layers=2, **SMALL)
    model = DETR(paper, some_categories(CLASSES)).double().eval()
    model.load_state_dict(detr_state_from_transformers(theirs.state_dict()))
    return theirs, model


def test_detr_predicts_what_transformers_predict(detr_pair) -> None:
    theirs, model = detr_pair
    found = model(images())
    inside = (~found.batch.padding_mask).long()
    expected = theirs(found.batch.tensor, inside)
    assert found.padding.any()
    assert expected.logits.std() > 0.1
    assert_same(found.logits[-1], ours(expected.logits))
    assert_same(found.boxes[-1], expected.pred_boxes)


@pytest.mark.usefixtures("double_by_default")
def test_detr_learns_as_transformers_do(detr_pair) -> None:
    theirs, model = detr_pair
    batch = model.prepare(images())
    objects = object_batch(images(), targets(), batch, CLASSES)
    labels = [
        {
            "class_labels": objects.labels[i, :count] - 1,
            "boxes": objects.boxes[i, :count],
        }
        for i, count in enumerate(objects.counts)
    ]
    expected = theirs(batch.tensor, (~batch.padding_mask).long(), labels=labels)
    found = model.loss(images(), targets())
    weights = {"class_loss": 1, "box_loss": 5, "giou_loss": 2}
    names = {"class_loss": "loss_ce", "box_loss": "loss_bbox", "giou_loss": "loss_giou"}
    for name, their in names.items():
        assert_same(found[name], weights[name] * expected.loss_dict[their])


@pytest.fixture(scope="module")
def panoptic_pair() -> tuple[nn.Module, DETR]:
    torch.manual_seed(0)
    stages = ("stage1", "stage2", "stage3", "stage4")
    config = transformers.DetrConfig(backbone_config=resnet(*stages), **detr_options())
    theirs = spread(transformers.DetrForSegmentation(config)).double().eval()
    paper = replace(DETRConfig.paper("panoptic"), encoder_layers=2, **SMALL)
    kinds = (replace(c, is_thing=c.label < CLASSES) for c in some_categories(CLASSES))
    model = DETR(paper, Categories(kinds)).double().eval()
    model.load_state_dict(detr_state_from_transformers(theirs.state_dict()))
    return theirs, model


@pytest.mark.usefixtures("double_by_default")
def test_detr_learns_things_and_stuff_as_transformers_do(panoptic_pair) -> None:
    theirs, model = panoptic_pair
    known = targets()
    for target in known:
        target.semantic = torch.zeros(target.size, dtype=torch.int64)
        target.semantic[-20:] = CLASSES
    known[0] = known[0][[0, 2]]  # the other is of the class that is stuff here
    batch = model.prepare(images())
    objects = model.objects(images(), known, batch)
    assert objects.counts == [3, 2]
    labels = [
        {
            "class_labels": objects.labels[i, :count] - 1,
            "boxes": objects.boxes[i, :count],
            "masks": objects.masks[i, :count],
        }
        for i, count in enumerate(objects.counts)
    ]
    expected = theirs(batch.tensor, (~batch.padding_mask).long(), labels=labels)
    found = model.loss(images(), known)
    names = {"class_loss": "loss_ce", "box_loss": "loss_bbox", "giou_loss": "loss_giou"}
    names |= {"mask_loss": "loss_mask", "dice_loss": "loss_dice"}
    weights = {"box_loss": 5, "giou_loss": 2}
    for name, their in names.items():
        assert_same(found[name], weights.get(name, 1) * expected.loss_dict[their])


def test_masks_of_detr_are_those_of_transformers(panoptic_pair) -> None:
    theirs, model = panoptic_pair
    output = model(images()[:1])
    expected = theirs(output.batch.tensor, (~output.batch.padding_mask).long())
    found = model.masks(output, output.states[-1, 0], torch.zeros(QUERIES).long())
    assert expected.pred_masks.std() > 0.01
    assert_same(found, expected.pred_masks[0])
    assert_same(output.logits[-1], ours(expected.logits))


@pytest.fixture(scope="module")
def maskformer_pair() -> tuple[nn.Module, MaskFormer]:
    torch.manual_seed(0)
    config = transformers.MaskFormerConfig(
        backbone_config=resnet("stage1", "stage2", "stage3", "stage4"),
        decoder_config=transformers.DetrConfig(**detr_options()),
        fpn_feature_size=CHANNELS,
        mask_feature_size=CHANNELS,
        num_labels=CLASSES,
        use_auxiliary_loss=False,
    )
    theirs = transformers.MaskFormerForInstanceSegmentation(config)
    theirs = spread(randomize_statistics(theirs)).double().eval()
    sizes = {"pixel_channels": CHANNELS, "mask_channels": CHANNELS}
    model = MaskFormer(
        replace(MaskFormerConfig.paper(), **SMALL, **sizes), some_categories(CLASSES)
    )
    model.double().eval()
    model.load_state_dict(maskformer_state_from_transformers(theirs.state_dict()))
    return theirs, model


def test_maskformer_predicts_what_transformers_predict(maskformer_pair) -> None:
    theirs, model = maskformer_pair
    found = model(images())
    expected = theirs(found.batch.tensor)
    assert expected.masks_queries_logits.std() > 0.01
    assert_same(found.logits[-1], ours(expected.class_queries_logits))
    assert_same(found.masks[-1], expected.masks_queries_logits)


def test_maskformer_learns_as_transformers_do(maskformer_pair) -> None:
    theirs, model = maskformer_pair
    known = targets()
    for target in known:
        target.semantic = torch.zeros(target.size, dtype=torch.int64)
    batch = model.prepare(images(), divisor=32)
    segments = segment_batch(images(), known, batch, model.categories)
    expected = theirs(
        batch.tensor,
        mask_labels=[segments.masks[i, :n].double() for i, n in enumerate(segments.counts)],
        class_labels=[segments.labels[i, :n] - 1 for i, n in enumerate(segments.counts)],
    )
    found = model.loss(images(), known)
    last = [found[name] for name in ("class_loss", "mask_loss", "dice_loss")]
    assert_same(torch.stack(last).sum(), expected.loss.squeeze())


def test_maskformer_with_an_encoder_is_that_of_transformers_modules() -> None:
    torch.manual_seed(0)
    theirs = spread(randomize_statistics(WithEncoder())).double().eval()
    sizes = {"pixel_channels": CHANNELS, "mask_channels": CHANNELS}
    config = replace(MaskFormerConfig.paper(), pixel_layers=2, pixel_hidden=48, **SMALL, **sizes)
    model = MaskFormer(config, some_categories(CLASSES)).double().eval()
    model.load_state_dict(theirs.our_state())
    found = model(images())
    logits, masks = theirs(found.batch.tensor)
    assert masks.std() > 0.01
    assert_same(found.logits[-1], ours(logits))
    assert_same(found.masks[-1], masks)


@pytest.fixture(scope="module")
def mask2former_pair() -> tuple[nn.Module, MaskFormer]:
    torch.manual_seed(0)
    config = transformers.Mask2FormerConfig(
        backbone_config=resnet("stage1", "stage2", "stage3", "stage4"),
        feature_size=CHANNELS,
        mask_feature_size=CHANNELS,
        hidden_dim=CHANNELS,
        encoder_feedforward_dim=40,
        dim_feedforward=48,
        encoder_layers=2,
        decoder_layers=5,
        num_queries=QUERIES,
        num_labels=CLASSES,
    )
    theirs = transformers.Mask2FormerForUniversalSegmentation(config)
    theirs = spread(randomize_statistics(theirs))
    for name, value in theirs.state_dict().items():  # these start at zero: all points alike
        if "sampling_offsets.weight" in name or "attention_weights.weight" in name:
            value.copy_(torch.randn_like(value) / 4)
    small = {**SMALL, "decoder_layers": 4, "pixel_layers": 2, "pixel_hidden": 40}
    small |= {"pixel_channels": CHANNELS, "mask_channels": CHANNELS}
    config = replace(MaskFormerConfig.paper("mask2former"), **small)
    model = MaskFormer(config, some_categories(CLASSES)).double().eval()
    theirs = theirs.double().eval()
    model.load_state_dict(mask2former_state_from_transformers(theirs.state_dict()))
    return theirs, model


def test_mask2former_predicts_what_transformers_predict(mask2former_pair) -> None:
    """With a ResNet, which `transformers` accept through their backbones' interface."""
    theirs, model = mask2former_pair
    found = model(images())
    expected = theirs(found.batch.tensor, output_auxiliary_logits=True)
    assert expected.masks_queries_logits.std() > 0.01
    assert_same(found.logits[-1], ours(expected.class_queries_logits))
    assert_same(found.masks[-1], expected.masks_queries_logits)
    earlier = expected.auxiliary_logits
    assert len(earlier) == len(found.logits) - 1 == 4
    for layer, outputs in enumerate(earlier):
        assert_same(found.logits[layer], ours(outputs["class_queries_logits"]))
        assert_same(found.masks[layer], outputs["masks_queries_logits"])


def test_pixel_decoder_of_mask2former_is_that_of_transformers_in_float32(mask2former_pair) -> None:
    theirs, model = mask2former_pair
    sizes = [(256, 24, 32), (512, 12, 16), (1024, 6, 8), (2048, 3, 4)]
    features = [torch.randn(2, *size) for size in sizes]
    module = theirs.model.pixel_level_module.decoder
    try:
        expected = module.float()(features)
        pyramid, pixels = model.pixel_decoder.float()(features)
    finally:
        module.double(), model.pixel_decoder.double()
    assert_same(pixels, expected.mask_features, 1e-4)
    for found, level in zip(pyramid[::-1], expected.multi_scale_features, strict=False):
        assert_same(found, level, 1e-4)
