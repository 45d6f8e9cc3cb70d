"""The viewer of MaskFormer's queries shows what the model predicts."""

from __future__ import annotations

import pytest
import torch

from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.structures import Categories
from seglib.widgets import QueryViewer
from tests.explorers import check_every_control

IMAGE = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))
NAMES = Categories.from_coco(
    [{"id": 1, "name": "cat"}, {"id": 2, "name": "sky-other-merged", "isthing": 0}]
)


@pytest.fixture(scope="module", params=["maskformer", "mask2former"])
def model(request: pytest.FixtureRequest) -> MaskFormer:
    torch.manual_seed(0)
    made = MaskFormer(MaskFormerConfig.pocket(request.param), NAMES).eval()
    torch.nn.init.normal_(made.class_embed.weight, std=0.5)  # so that queries differ
    return made


def test_every_control_changes_the_numbers_and_the_picture(model: MaskFormer) -> None:
    check_every_control(QueryViewer(model, IMAGE, query=3), {"query": 17, "layer": 1})


def test_layers_are_those_that_predict(model: MaskFormer) -> None:
    control = QueryViewer(model, IMAGE).controls["layer"]
    first = 0 if model.masked else 1  # Mask2Former also predicts before its first layer
    assert (control.min, control.max, control.value) == (first, 4, 4)


def test_values_are_the_models(model: MaskFormer) -> None:
    values = QueryViewer(model, IMAGE, query=5).values
    with torch.no_grad():
        output = model([IMAGE])
    probabilities = output.logits[-1, 0, 5].softmax(-1)
    assert torch.equal(values["probabilities"], probabilities)
    assert values["label"] == int(probabilities.argmax())
    assert values["mask"].shape == (64, 96)


def test_the_shares_of_all_queries_fill_the_label_map(model: MaskFormer) -> None:
    viewer = QueryViewer(model, IMAGE)
    shares = sum(viewer.set(query=query)["share"] for query in range(model.config.queries))
    assert torch.allclose(shares, torch.ones(64, 96), atol=1e-5)


def test_the_first_query_shown_is_the_most_confident(model: MaskFormer) -> None:
    viewer = QueryViewer(model, IMAGE)
    with torch.no_grad():
        surest = model([IMAGE]).logits[-1, 0].softmax(-1)[:, 1:].amax(-1)
    assert viewer.values["query"] == int(surest.argmax())


def test_the_summary_names_class_and_probability(model: MaskFormer) -> None:
    viewer = QueryViewer(model, IMAGE, query=5)
    name = ["no object", "cat", "sky"][viewer.values["label"]]
    assert f"predicts {name} with probability {viewer.values['score']:.2f}" in viewer.summary()
