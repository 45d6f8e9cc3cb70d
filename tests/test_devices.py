"""Everything computes on the device that it is given, and computes there what the CPU does."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

import seglib
from seglib import SeglibError, ops, pretrained, primitives
from seglib.data.datasets import load_dataset
from seglib.devices import autocast, find_device
from seglib.metrics.evaluate import evaluate
from seglib.models import build_model, model_names
from seglib.models.base import Segmenter
from seglib.primitives import STYLES
from seglib.structures import Categories, Instances
from seglib.training import History, TrainConfig, train, train_step
from seglib.training.random_state import random_state_kept, seed_everything
from seglib.training.run import Run
from tests.fakes import CATEGORIES, Squares, tiny_fcn
from tests.helpers import ROOT
from tests.pretend_gpu import pretended_gpu
from tests.primitive_cases import primitive_cases

IMAGES = 2


@pytest.fixture(scope="module")
def data():
    return load_dataset("pocket", split="val", limit=IMAGES)


def moved(values: Any, device: torch.device | str) -> Any:
    """The same values with every tensor on the device."""
    return tree_map(lambda x: x.to(device) if isinstance(x, Tensor) else x, values)


def same_device(found: Tensor, device: torch.device) -> bool:
    return found.device.type == device.type


def test_every_primitive_has_a_case():
    assert set(primitive_cases()) == set(primitives.names())


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", primitives.names())
def test_primitives_compute_where_their_arguments_are(device, name, style):
    body = primitives._BODIES[name][style]
    arguments = primitive_cases()[name]
    expected = body(*arguments)
    there = moved(arguments, device)
    if differentiable := isinstance(there[0], Tensor) and there[0].is_floating_point():
        there[0].requires_grad_()
    found = body(*there)
    assert same_device(found, device) or not isinstance(there[0], Tensor)
    torch.testing.assert_close(found.detach().cpu(), expected, rtol=1e-4, atol=1e-5)
    if differentiable and found.requires_grad:
        found.sum().backward()
        assert same_device(there[0].grad, device)


def shipped(name: str, device: torch.device) -> Segmenter:
    """A shipped model, prepared for a comparison with this device."""
    return comparable(pretrained.load(name), device)


def shipped_or_new(name: str, categories: Categories, device: torch.device) -> Segmenter:
    """The same, or a model with fresh weights if the paradigm has no shipped checkpoint."""
    if name in pretrained.shipped_models():
        return shipped(name, device)
    with random_state_kept():
        seed_everything(0)
        return comparable(build_model(name, categories), device)


def comparable(model: Segmenter, device: torch.device) -> Segmenter:
    """A model without dropout, whose random numbers are others on every device.

    On a real GPU it computes in float64, so that no rounding changes what is sampled or kept.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0
    model = model.to(memory_format=torch.channels_last)
    return model.double() if device.type == "cuda" else model


def two_steps(model: Segmenter, data: Any) -> list[dict[str, float]]:
    """The losses before a step of training and after it."""
    images, targets = zip(*(data[index] for index in range(IMAGES)), strict=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    with random_state_kept():
        seed_everything(0)
        return [train_step(model, images, targets, optimizer, clip=1.0) for _ in range(2)]


@pytest.mark.parametrize("name", model_names())
def test_a_step_of_training_has_the_losses_of_the_cpu(elsewhere, name, data):
    expected = two_steps(shipped_or_new(name, data.categories, elsewhere), data)
    model = shipped_or_new(name, data.categories, elsewhere).to(elsewhere)
    found = two_steps(model, data)
    assert found[1] != found[0]
    for there, here in zip(found, expected, strict=True):
        assert there == pytest.approx(here, rel=1e-4)
    assert all(same_device(parameter, elsewhere) for parameter in model.parameters())


@pytest.mark.parametrize("name", pretrained.shipped_models())
def test_a_prediction_is_that_of_the_cpu(elsewhere, name, data):
    image, _ = data[0]
    model = shipped(name, elsewhere)
    (expected,) = model.predict([image])
    model.to(elsewhere)
    (found,) = model.predict([image])
    back = found.to("cpu")
    assert (found.semantic is None) == (expected.semantic is None)
    if expected.semantic is not None:
        assert same_device(found.semantic, elsewhere)
        assert (back.semantic == expected.semantic).double().mean() > 0.999
    for field in ("instances", "proposals"):
        rows, there = getattr(expected, field), getattr(found, field)
        assert (there is None) == (rows is None)
        if rows is not None:
            assert len(rows) > 0
            assert same_device(there.scores, elsewhere)
            assert_same_rows(getattr(back, field), rows)


def assert_same_rows(found: Instances, expected: Instances) -> None:
    for column in ("boxes", "scores", "labels"):
        actual, wanted = getattr(found, column), getattr(expected, column)
        torch.testing.assert_close(actual, wanted, rtol=1e-4, atol=1e-4)
    assert (found.masks == expected.masks).double().mean() > 0.999


@pytest.mark.parametrize("name", ["fcn", "mask_rcnn"])
def test_the_scores_of_a_model_elsewhere_are_those_of_the_cpu(elsewhere, name, data):
    model = shipped(name, elsewhere)
    expected = evaluate(model, data).figures
    found = evaluate(model.to(elsewhere), data).figures
    assert found == pytest.approx(expected, rel=1e-3, nan_ok=True)


def test_scratch_bodies_train_and_predict_elsewhere(elsewhere, data):
    image, target = data[0]
    model = shipped("mask_rcnn", elsewhere).to(elsewhere)
    with seglib.use("scratch"):
        losses = model.train().loss([image], [target])
        assert all(same_device(loss, elsewhere) for loss in losses.values())
        assert same_device(model.predict([image])[0].instances.boxes, elsewhere)


def test_a_model_gets_other_classes_and_its_file_elsewhere(elsewhere, tmp_path):
    model = tiny_fcn().to(elsewhere)
    fewer = Categories.from_coco(CATEGORIES.to_coco()[1:])
    other = pretrained.rehead(model, fewer)
    assert all(same_device(parameter, elsewhere) for parameter in other.parameters())
    file = pretrained.save(other, tmp_path / "model.safetensors")
    again = pretrained.load(file).state_dict()
    assert all(torch.equal(value.cpu(), again[name]) for name, value in other.state_dict().items())


@pytest.mark.parametrize("device", ["cpu", "cuda"], indirect=True)
def test_a_whole_run_trains_and_validates(device, tmp_path):
    config = TrainConfig(steps=4, batch_size=4, lr=1e-2, ema=0.9, device=device.type, out=tmp_path)
    model = tiny_fcn(dropout=0.0)
    history = train(model, Squares(), config, validation=Squares())
    on_cpu = replace(config, device="cpu")
    here = train(tiny_fcn(dropout=0.0), Squares(), replace(on_cpu, out=None))
    assert history.losses == pytest.approx(here.losses, rel=1e-3)
    assert history.config.device == device.type
    assert all(same_device(parameter, device) for parameter in model.parameters())
    # The checkpoint that was written there goes on here.
    again = train(tiny_fcn(seed=7, dropout=0.0), Squares(), on_cpu, resume=True)
    assert again.losses == history.losses


def test_a_whole_run_does_not_mix_devices(monkeypatch):
    """Weights, their average, augmented batches, optimiser and validation, on the pretended GPU."""
    config = TrainConfig(steps=4, batch_size=4, ema=0.9, augment=True, eval_every=2)

    def course(device: torch.device) -> History:
        seed_everything(0)
        return Run(tiny_fcn(dropout=0.0), Squares(), config, device, validation=Squares(4)).finish()

    expected = course(torch.device("cpu"))
    # No setting names the pretended device.
    monkeypatch.setattr("seglib.training.config.check_settings", lambda config: None)
    with pretended_gpu() as device:
        found = course(device)
    assert found.config.device == device.type
    assert found.losses == expected.losses
    assert found.validation == expected.validation


def test_mixing_devices_fails_on_the_pretended_gpu():
    """Or else the tests above would prove nothing without a real one."""
    here = torch.arange(3.0)
    with pretended_gpu() as device:
        there = here.to(device)
        assert (there + 1).device == device
        assert (there + 1).cpu().tolist() == [1, 2, 3]
        assert there[torch.tensor([2])].tolist() == [2]  # an index may lie on the CPU
        for mix in (
            lambda: there + here,
            lambda: torch.cat([there, here]),
            lambda: torch.stack([there.sum(), here.sum()]),
            lambda: here[there.long()],
            lambda: ops.box_iou(torch.rand(2, 4, device=device), torch.rand(2, 4)),
        ):
            with pytest.raises(RuntimeError, match="mixes devices"):
                mix()
        with pytest.raises(TypeError, match="has no NumPy array"):
            there.numpy()


def test_devices_by_name():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type in ("cpu", "cuda", "mps")
    assert find_device(torch.device("cpu")).type == "cpu"
    with pytest.raises(SeglibError, match=r"no device is called .gpu.: .*hoose among auto, cpu"):
        find_device("gpu")
    with pytest.raises(SeglibError, match="no device is called 'gpu'"):
        pretrained.load("fcn", device="gpu")


def test_autocast_is_for_bf16_alone():
    x = torch.rand(2, 2)
    for precision, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        with autocast(torch.device("cpu"), precision):
            assert (x @ x).dtype == dtype


@pytest.fixture(scope="module")
def device_check() -> ModuleType:
    """tools/device_check.py as a module."""
    spec = importlib.util.spec_from_file_location("device_check", ROOT / "tools/device_check.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(find_device("auto").type != "cpu", reason="there is a GPU")
def test_the_gpu_check_says_that_there_is_none(device_check, capsys):
    assert device_check.main() == 0
    assert capsys.readouterr().out == "there is no GPU, so nothing was checked\n"


def test_the_gpu_check_compares_two_steps(device_check):
    cpu = torch.device("cpu")
    losses = device_check.losses_of_two_steps("fcn", cpu)
    assert len(losses) == 2
    assert losses[0] != losses[1]
    assert device_check.loss_difference("fcn", cpu) == 0
