"""The mixing desk assembles masks as the model does, and shows what moving a slider changes."""

from __future__ import annotations

import pytest
import torch

from seglib.errors import SeglibError
from seglib.models.yolact import YOLACT, YOLACTConfig
from seglib.models.yolact.masks import assemble_masks, masks_of_image
from seglib.structures import Categories
from seglib.widgets import MixingDesk
from tests.explorers import check_every_control

IMAGE = torch.rand(3, 60, 96, generator=torch.Generator().manual_seed(0))
NAMES = Categories.from_coco([{"id": 1, "name": "cat"}, {"id": 2, "name": "kite"}])


@pytest.fixture(scope="module")
def model() -> YOLACT:
    torch.manual_seed(0)
    return YOLACT(YOLACTConfig.pocket(), NAMES).eval()


@pytest.fixture(scope="module")
def objects(model: YOLACT) -> dict[str, int]:
    """Two anchors near the middle of the image, one of them large."""
    with torch.no_grad():
        anchors = model([IMAGE]).anchors
    central = ((anchors[:, :2] - torch.tensor([48.0, 30])).norm(dim=1) < 12).nonzero()[:, 0]
    return {"cat": int(central[-1]), "kite": int(central[0])}


def test_every_control_changes_the_numbers_and_the_picture(
    model: YOLACT, objects: dict[str, int]
) -> None:
    desk = MixingDesk(model, IMAGE, objects, count=2)
    sliders = {name: -0.5 for name in desk.controls if name.startswith("prototype")}
    moves = {"object": "kite", **sliders, "crop": "off", "others": "silent"}
    check_every_control(desk, moves)


def test_untouched_it_shows_the_models_mask(model: YOLACT, objects: dict[str, int]) -> None:
    desk = MixingDesk(model, IMAGE, objects)
    desk.set(crop="off")
    with torch.no_grad():
        output = model([IMAGE])
    for name, row in objects.items():
        values = desk.set(object=name)
        own = output.of_anchors.coefficients[0, row]
        assert torch.equal(values["coefficients"], own)
        logits = assemble_masks(own[None], output.prototypes[0])
        assert torch.equal(values["logits"], logits[0])
        mask = masks_of_image(logits.sigmoid(), output.batch.canvas, (60, 96), (60, 96))[0]
        assert torch.equal(values["mask"] > 0.5, mask)
        assert f"{name}, all sliders as predicted" in desk.summary()


def test_choosing_an_object_sets_the_sliders(model: YOLACT, objects: dict[str, int]) -> None:
    desk = MixingDesk(model, IMAGE, objects, count=3)
    first = desk.chosen[0]
    desk.set(**{f"prototype {first}": 0.123})
    assert f"moved: {first}:" in desk.summary()
    desk.set(object="kite")
    kept = [desk.setting(f"prototype {k}") for k in desk.chosen]
    assert kept == desk.predicted[1, desk.chosen].tolist()


def test_silent_uses_only_the_prototypes_with_sliders(
    model: YOLACT, objects: dict[str, int]
) -> None:
    desk = MixingDesk(model, IMAGE, objects, count=2)
    desk.set(others="silent", **{f"prototype {k}": 0.0 for k in desk.chosen})
    assert not desk.values["logits"].any()
    only = desk.chosen[1]
    values = desk.set(**{f"prototype {only}": -0.5})
    assert torch.allclose(values["logits"], -0.5 * desk.prototypes[only])


def test_no_object_is_refused(model: YOLACT) -> None:
    with pytest.raises(SeglibError, match="at least one object"):
        MixingDesk(model, IMAGE, {})
