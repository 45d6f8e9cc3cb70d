"""Properties of every paradigm's model: rare targets, perfect predictions, parameter groups."""

from __future__ import annotations

import math
import re

import pytest
import torch
from torch import Generator
from torch.nn import functional as F

from seglib import pretrained
from seglib.cli.ceiling_lines import SHOWN
from seglib.data.datasets import CocoFolder, load_dataset
from seglib.metrics.ceilings import model_ceiling
from seglib.metrics.evaluate import evaluate
from seglib.models import MODELS, build_model
from seglib.models.base import Segmenter
from seglib.pretrained.shipped import SHIPPED
from seglib.structures import IGNORE, Target
from tests.modelling import boxes_target, randomize_zeros, some_categories

SIZE = (64, 80)
IMAGES = 8


def model_of(name: str, classes: int = 3) -> Segmenter:
    """The pocket preset with fresh weights."""
    torch.manual_seed(0)
    return build_model(name, some_categories(classes))


def rare_target(kind: str) -> Target:
    """One image's target of a kind that data sets have and losses must survive."""
    boxes = {"nothing": [], "one pixel": [(10, 20, 11, 21)]}.get(kind, [(8, 8, 40, 40)])
    crowd = [kind == "crowd"] * len(boxes)
    target = boxes_target(SIZE, boxes, [2] * len(boxes), iscrowd=crowd)
    covered = target.masks.any(0)
    target.semantic = torch.where(covered, IGNORE if kind == "crowd" else 2, 0)
    return target


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "kinds",
    [
        ["nothing"],
        ["one pixel"],
        ["crowd"],
        ["nothing", "nothing"],
        ["nothing", "one pixel", "crowd", "object"],
    ],
    ids=" and ".join,
)
def test_rare_targets_give_finite_losses_and_gradients(name: str, kinds: list[str]) -> None:
    model = model_of(name)
    images = [torch.rand(3, *SIZE) for _ in kinds]
    losses = model.loss(images, [rare_target(kind) for kind in kinds])
    for key, value in losses.items():
        assert re.fullmatch(r"[a-z_]+_loss(_\d)?", key)
        assert value.shape == ()
    total = torch.stack(list(losses.values())).sum()
    assert math.isfinite(total.item())
    total.backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("kind", ["nothing", "one pixel", "crowd", "object"])
def test_perfect_fills_what_the_tasks_name(name: str, kind: str) -> None:
    model = model_of(name)
    prediction = model.perfect(torch.rand(3, *SIZE), rare_target(kind))
    assert prediction.size == SIZE
    assert prediction.categories == model.categories
    for task in model.tasks:
        assert getattr(prediction, task) is not None
    assert model.output_form.ceiling


@pytest.mark.parametrize("name", MODELS)
def test_a_baseline_is_predicted_if_the_form_names_one(name: str) -> None:
    model, image = model_of(name), torch.rand(3, *SIZE)
    if not model.output_form.baseline:
        with pytest.raises(NotImplementedError):
            model.baseline(image, Generator())
        return
    one, other = (model.baseline(image, Generator().manual_seed(3)) for _ in range(2))
    for task in model.tasks:
        assert torch.equal(getattr(one, task).scores, getattr(other, task).scores)
        assert torch.equal(getattr(one, task).masks, getattr(other, task).masks)


@pytest.fixture(scope="module")
def pocket() -> CocoFolder:
    return load_dataset("pocket", split="val", size=128, limit=IMAGES)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_stays_below_its_ceiling(name: str, pocket: CocoFolder) -> None:
    """Over several images: a ceiling is not a strict bound of every single one."""
    model = pretrained.load(name)
    reached, ceiling = evaluate(model, pocket).figures, model_ceiling(model, pocket).figures
    for task in model.tasks:
        for figure in SHOWN[task]:
            assert 0 < reached[figure] < ceiling[figure] <= 1


@pytest.mark.parametrize("name", MODELS)
def test_parameter_groups_contain_every_trainable_parameter_once(name: str) -> None:
    model = model_of(name)
    trained = {p for p in model.parameters() if p.requires_grad}
    decaying, free = model.parameter_groups(backbone_lr_scale=1.0)
    assert (decaying.lr_scale, free.lr_scale) == (1.0, 1.0)
    assert (decaying.decays, free.decays) == (True, False)
    assert all(p.ndim > 1 for p in decaying.parameters)
    assert all(p.ndim <= 1 for p in free.parameters)
    together = decaying.parameters + free.parameters
    assert len(together) == len(trained)
    assert set(together) == trained


@pytest.mark.parametrize("name", MODELS)
def test_a_backbone_can_have_its_own_learning_rate(name: str) -> None:
    model = model_of(name)
    groups = model.parameter_groups(backbone_lr_scale=0.1)
    scaled = {p for group in groups if group.lr_scale == 0.1 for p in group.parameters}
    backbone = {
        p
        for key, p in model.named_parameters()
        if p.requires_grad and (key.startswith("backbone.") or ".backbone." in key)
    }
    assert backbone
    assert scaled == backbone
    assert sum(len(group.parameters) for group in groups) == len(
        [p for p in model.parameters() if p.requires_grad]
    )
    config = model.config.from_dict({**model.config.to_dict(), "backbone_lr_scale": 0.1})
    model.config = config
    assert [g.lr_scale for g in model.parameter_groups()] == [g.lr_scale for g in groups]


@pytest.mark.parametrize("name", MODELS)
def test_class_parameters_have_slices_for_every_class_with_or_without_background(name: str) -> None:
    few, more = model_of(name, 6).state_dict(), model_of(name, 10).state_dict()
    grown = {key for key in few if few[key].shape != more[key].shape}
    names = model_of(name, 6).class_parameters()
    assert set(names) == grown
    for key, dimensions in names.items():
        for d in dimensions:
            old, new = few[key].shape[d], more[key].shape[d]
            assert old * 11 == new * 7 or old * 10 == new * 6


@pytest.mark.parametrize("name", pretrained.shipped_models())
def test_an_image_is_predicted_as_if_it_were_alone(name: str) -> None:
    dataset = load_dataset("pocket", split="val", limit=2)
    model = pretrained.load(name)
    image = dataset[0][0]
    larger = F.interpolate(dataset[1][0][None], size=(200, 232), mode="bilinear")[0]
    alone = model.predict([image])[0]
    for together in (model.predict([larger, image])[1], model.predict([image, image])[1]):
        for field in ("instances", "proposals"):
            expected, found = getattr(alone, field), getattr(together, field)
            if expected is None:
                continue
            assert len(expected) > 0
            torch.testing.assert_close(found.scores, expected.scores, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(found.boxes, expected.boxes, rtol=1e-5, atol=1e-3)
            assert (found.masks != expected.masks).float().mean() < 1e-5
        if alone.semantic is not None:
            assert (together.semantic != alone.semantic).float().mean() < 1e-3


@pytest.mark.parametrize("name", MODELS)
def test_losses_have_gradients_with_respect_to_the_image(name: str) -> None:
    """For saliency maps and adversarial examples."""
    model = randomize_zeros(model_of(name)).eval()
    image = torch.rand(3, *SIZE).requires_grad_()
    torch.stack(list(model.loss([image], [rare_target("object")]).values())).sum().backward()
    assert image.grad is not None
    assert image.grad.isfinite().all()
    assert image.grad.abs().sum() > 0
