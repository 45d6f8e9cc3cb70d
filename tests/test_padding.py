"""Predictions are those of the image alone, on any device; and the published exceptions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from seglib.models.base import Segmenter
from seglib.models.detr import DETR, DETRConfig
from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.models.polarmask import PolarMask
from seglib.models.solo import SOLO
from seglib.models.yolact import YOLACT
from seglib.structures import Categories, Category, ImageBatch, Prediction
from tests.modelling import randomize_statistics, randomize_zeros

TOLERANCE = 1e-4
SMALL = {"min_size": None, "width": 16, "blocks": (1, 1, 1, 1), "channels": 32, "hidden": 48}
SMALL |= {"decoder_layers": 3, "queries": 16}


def categories() -> Categories:
    return Categories(Category(n, n, f"class{n}", is_thing=n < 3) for n in range(1, 5))


def detr(preset: str, variant: str) -> DETR:
    config = getattr(DETRConfig, preset)(variant)
    config = replace(config, segment_threshold=0.0)
    if preset == "paper":
        config = replace(config, encoder_layers=2, **SMALL)
    model = DETR(config, categories())
    # At first, all queries are alike: each reads a little of everything.
    nn.init.normal_(model.query_embed.weight, std=2.0)
    for layer in model.transformer.decoder.layers:
        nn.init.normal_(layer.multihead_attn.in_proj_weight, std=0.3)
    nn.init.normal_(model.class_embed.weight, std=0.5)
    return model


def maskformer(preset: str, variant: str) -> MaskFormer:
    config = getattr(MaskFormerConfig, preset)(variant)
    config = replace(config, segment_threshold=0.0, overlap_threshold=0.0)
    if preset == "paper":
        small = {**SMALL, "pixel_channels": 32, "mask_channels": 32, "pixel_hidden": 24}
        config = replace(config, pixel_layers=2, **small)
    return MaskFormer(config, categories())


CASES: list[tuple[Callable[[str, str], Segmenter], str]] = [
    (detr, "boxes"),
    (detr, "masks"),
    (detr, "panoptic"),
    (maskformer, "maskformer"),
    (maskformer, "mask2former"),
]


def assert_alike(found: Prediction, expected: Prediction) -> None:
    """The same objects, scores and maps."""
    close = {"rtol": 0, "atol": TOLERANCE}
    for name in ("boxes", "scores", "labels", "masks"):
        value, other = getattr(found.instances, name), getattr(expected.instances, name)
        assert (value is None) == (other is None)
        if value is not None:
            torch.testing.assert_close(value.double(), other.double(), **close)
    for value, other in ((found.semantic, expected.semantic), (found.panoptic, expected.panoptic)):
        assert (value is None) == (other is None)
    if expected.semantic is not None:
        assert torch.equal(found.semantic, expected.semantic)
    if expected.panoptic is not None:
        assert torch.equal(found.panoptic.segment_map, expected.panoptic.segment_map)
        assert torch.equal(found.panoptic.labels, expected.panoptic.labels)


@pytest.mark.parametrize("preset", ["pocket", "paper"])
@pytest.mark.parametrize(("make", "variant"), CASES)
def test_a_prediction_is_that_of_the_image_alone(
    make: Callable[[str, str], Segmenter], variant: str, preset: str
) -> None:
    torch.manual_seed(0)
    model = randomize_zeros(randomize_statistics(make(preset, variant))).double()
    image, same, larger = torch.rand(3, 50, 70), torch.rand(3, 50, 70), torch.rand(3, 90, 100)
    alone = model.predict([image])[0]
    assert len(alone.instances) >= 5
    for batch in ([larger, image], [image, same], [same, larger, image]):
        index = next(i for i, other in enumerate(batch) if other is image)
        assert_alike(model.predict(batch)[index], alone)


@pytest.mark.parametrize(("make", "variant"), CASES)
def test_predictions_elsewhere_are_those_of_the_cpu(
    elsewhere: torch.device, make: Callable[[str, str], Segmenter], variant: str
) -> None:
    torch.manual_seed(0)
    model = randomize_zeros(randomize_statistics(make("paper", variant))).double()
    image = torch.rand(3, 50, 70)
    expected = model.predict([image])[0]
    found = model.to(elsewhere).predict([image])[0]
    assert found.instances.boxes.device.type == elsewhere.type
    assert_alike(found.to("cpu"), expected)


def padded(features: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """A map [1, D, h, w] with rows and columns of noise added, and where these are."""
    _, channels, height, width = features.shape
    larger = torch.randn(1, channels, height + 2, width + 3, generator=generator).to(features)
    larger[..., :height, :width] = features
    padding = torch.ones(1, height + 2, width + 3, dtype=torch.bool)
    padding[:, :height, :width] = False
    return larger, padding


def test_detr_never_reads_the_padding() -> None:
    """Neither do its positions count it: only convolutions at the border see it in training."""
    torch.manual_seed(0)
    model = randomize_zeros(detr("pocket", "masks")).eval()
    features = torch.randn(1, model.config.channels, 4, 5)
    larger, padding = padded(features, torch.Generator().manual_seed(1))
    nothing = torch.zeros(1, 4, 5, dtype=torch.bool)
    queries = model.query_embed.weight
    states, memory = model.transformer(features, model.position(nothing, features), queries)
    place = model.position(padding, larger)
    found, encoded = model.transformer(larger, place, queries, padding)
    torch.testing.assert_close(found, states, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(encoded[..., :4, :5], memory, rtol=0, atol=TOLERANCE)
    image = torch.zeros(len(queries), dtype=torch.int64)
    expected = model.bbox_attention(states[-1, 0], image, memory, nothing)
    maps = model.bbox_attention(found[-1, 0], image, encoded, padding)
    torch.testing.assert_close(maps[..., :4, :5], expected, rtol=0, atol=TOLERANCE)
    assert not maps[:, :, padding[0]].any()


@pytest.mark.parametrize("variant", ["maskformer", "mask2former"])
def test_maskformer_reads_the_padding_as_published(variant: str) -> None:
    """The exception, in training alone, where images of several sizes share a batch.

    The authors' MaskFormer and Mask2Former give their transformers no padding mask, and count
    positions over the whole canvas.
    """
    torch.manual_seed(0)
    model = randomize_zeros(maskformer("paper", variant)).eval()
    image, larger = torch.rand(3, 64, 64), torch.rand(3, 96, 128)
    alone, together = model([image]), model([larger, image])
    assert together.batch.sizes[1] == alone.batch.sizes[0]
    difference = (together.logits[-1, 1] - alone.logits[-1, 0]).abs().max()
    assert difference > 10 * TOLERANCE


def single_stage(model: type[Segmenter]) -> Segmenter:
    return model(model.config_class.pocket(), categories())


SQUARE: list[Callable[[], Segmenter]] = [
    *(partial(single_stage, model) for model in (YOLACT, SOLO, PolarMask)),
    *(partial(make, "pocket", variant) for make, variant in CASES),
]


@pytest.mark.parametrize("make", SQUARE)
def test_a_pocket_network_sees_the_same_padding_in_training_and_alone(
    make: Callable[[], Segmenter],
) -> None:
    """Images of one longer side: else a network that knows its training images by heart misses
    objects of them as soon as one is predicted without the others.
    """
    torch.manual_seed(0)
    model = randomize_zeros(randomize_statistics(make())).double().eval()
    wide, tall = torch.rand(3, 64, 96), torch.rand(3, 96, 64)
    batch, alone = model.prepare([wide, tall]), model.prepare([wide])
    assert batch.canvas == alone.canvas == (96, 96)
    assert torch.equal(batch.tensor[:1], alone.tensor)
    with torch.no_grad():
        together, single = (leaves(model(images)) for images in ([wide, tall], [wide]))
    compared = 0
    for both, one in zip(together, single, strict=True):
        images = [d for d in range(both.ndim) if (both.shape[d], one.shape[d]) == (2, 1)]
        if images:  # what is the same for all images has no such dimension
            found = both.narrow(images[0], 0, 1)
            torch.testing.assert_close(found, one, rtol=TOLERANCE, atol=TOLERANCE)
            compared += 1
    assert compared >= 2


def leaves(output: object) -> list[Tensor]:
    """All tensors of a model's output, in order; not the images."""
    if isinstance(output, Tensor):
        return [output]
    if is_dataclass(output) and not isinstance(output, ImageBatch):
        output = [getattr(output, field.name) for field in fields(output)]
    return [t for one in output for t in leaves(one)] if isinstance(output, list | tuple) else []
