"""The explorers of DETR show what the model's own attention, costs and matching are."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from seglib.errors import SeglibError
from seglib.models.detr import DETR, DETRConfig
from seglib.models.detr.attention_maps import attention_maps
from seglib.structures import Categories, Target
from seglib.widgets import AttentionViewer, MatchingViewer
from tests.explorers import check_every_control

IMAGE = torch.rand(3, 48, 64, generator=torch.Generator().manual_seed(0))
NAMES = Categories.from_coco([{"id": 1, "name": "cat"}, {"id": 2, "name": "sky-other-merged"}])
BOXES = torch.tensor([[2.0, 4, 20, 30], [30, 10, 60, 40]])


@pytest.fixture(scope="module")
def model() -> DETR:
    torch.manual_seed(0)
    return DETR(DETRConfig.pocket("boxes"), NAMES).eval()


@pytest.fixture(scope="module")
def target() -> Target:
    masks = torch.zeros(2, 48, 64, dtype=torch.bool)
    for mask, (x0, y0, x1, y1) in zip(masks, BOXES.int().tolist(), strict=True):
        mask[y0:y1, x0:x1] = True
    crowd = torch.zeros(2, dtype=torch.bool)
    area = masks.sum(dim=(1, 2)).float()
    return Target(BOXES, torch.tensor([1, 2]), masks, crowd, area, size=(48, 64))


def test_recorded_attention_sums_to_one_and_leaves_the_outputs_alone(model: DETR) -> None:
    output, maps = attention_maps(model, IMAGE)
    with torch.no_grad():
        plain = model([IMAGE])
    assert torch.allclose(output.logits, plain.logits, atol=1e-5)
    assert maps.encoder.shape == (3, 8, 6, 8, 6, 8)  # stride 8
    assert maps.among_queries.shape == (3, 8, 30, 30)
    assert maps.decoder.shape == (3, 8, 30, 6, 8)
    for sums in (
        maps.encoder.sum((-2, -1)),
        maps.among_queries.sum(-1),
        maps.decoder.sum((-2, -1)),
    ):
        assert torch.allclose(sums, torch.ones_like(sums), atol=1e-5)


def test_the_decoders_maps_are_those_of_its_own_queries_and_keys(model: DETR) -> None:
    """By hand, from the weights of the first decoder layer, in which contents start at zero."""
    output, maps = attention_maps(model, IMAGE)
    layer, place = model.transformer.decoder.layers[0], model.query_embed.weight
    with torch.no_grad():
        x = torch.zeros(1, 30, 128)
        x = layer.norm1(x + layer.self_attn(place[None], place[None], x))
        attention = layer.multihead_attn
        wq, wk, _ = attention.in_proj_weight.chunk(3)
        bq, bk, _ = attention.in_proj_bias.chunk(3)
        memory = output.memory + model.position(output.padding, output.memory)
        q = ((x[0] + place) @ wq.T + bq)[:, :16]  # of head 0
        k = (memory[0].flatten(1).T @ wk.T + bk)[:, :16]
    scores = (q @ k.T / 4).masked_fill(output.padding.flatten(1), -torch.inf)  # [30, 8 · 8]
    weights = scores.softmax(-1).reshape(30, 8, 8)[:, :6]  # the image is not a square
    assert torch.allclose(maps.decoder[0, 0], weights, atol=1e-5)


def test_an_encoder_without_layers_has_no_maps() -> None:
    torch.manual_seed(0)
    config = replace(DETRConfig.pocket("boxes"), encoder_layers=0)
    model = DETR(config, NAMES).eval()
    _, maps = attention_maps(model, IMAGE)
    assert (len(maps.encoder), len(maps.decoder)) == (0, 3)
    assert len(AttentionViewer(model, IMAGE).controls["reader"].options) == 1


def test_every_control_of_the_attention_viewer_changes_numbers_and_picture(model: DETR) -> None:
    moves = {
        "query": 7,
        "layer": 2,
        "head": "head 3",
        "reader": "a place (encoder)",
        "down": 5,
        "across": 60,
    }
    check_every_control(AttentionViewer(model, IMAGE), moves)


def test_the_attention_viewer_looks_weights_up(model: DETR) -> None:
    _, maps = attention_maps(model, IMAGE)
    viewer = AttentionViewer(model, IMAGE, query=4, place=(47, 0))
    assert torch.equal(viewer.values["weights"], maps.decoder[2, :, 4].mean(0))
    values = viewer.set(reader="a place (encoder)", head="head 8", layer=1)
    assert values["cell"] == (5, 0)
    assert torch.equal(values["weights"], maps.encoder[0, 7, 5, 0])
    assert "The place in row 5 and column 0 reads" in viewer.summary()


def test_every_control_of_the_matching_viewer_changes_numbers_and_picture(
    model: DETR, target: Target
) -> None:
    moves = {"class": 9.0, "distance": 0.5, "overlap": 0.0, "layer": 1}
    check_every_control(MatchingViewer(model, IMAGE, target), moves)


def test_with_its_own_weights_the_viewer_matches_as_the_model_does(
    model: DETR, target: Target
) -> None:
    viewer = MatchingViewer(model, IMAGE, target)
    own = model.match(viewer.output, viewer.objects)
    pairs = list(zip(own.queries[-1].tolist(), own.objects[-1].tolist(), strict=True))
    assert (viewer.values["pairs"], viewer.values["changed"]) == (pairs, 0)
    total = sum(float(viewer.values["cost"][q, g]) for q, g in pairs)
    assert viewer.values["total"] == pytest.approx(total)


def test_without_any_weight_all_costs_are_zero(model: DETR, target: Target) -> None:
    viewer = MatchingViewer(model, IMAGE, target)
    values = viewer.set(**{"class": 0.0, "distance": 0.0, "overlap": 0.0})
    assert (values["cost"] == 0).all()
    assert "2 pairs with a total cost of 0.00" in viewer.summary()


def test_an_image_without_objects_is_refused(model: DETR, target: Target) -> None:
    with pytest.raises(SeglibError, match="at least one object"):
        MatchingViewer(model, IMAGE, target[:0])
