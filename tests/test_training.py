"""The training loop: it learns, repeats itself, stops cleanly and leaves nothing half-written."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import random
import signal
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal, get_args

import numpy as np
import pytest
import torch

from seglib import devices, pretrained
from seglib.data.loading import Batch
from seglib.errors import SeglibError
from seglib.models.config import Augmentation
from seglib.training import History, Progress, TrainConfig, overfit, speed, train
from seglib.training.checkpoint import Checkpoint
from seglib.training.config import differences
from seglib.training.ema import Ema
from seglib.training.optimizer import build_optimizer, set_learning_rate
from seglib.training.samples import AUGMENTATIONS, MemorySource, one_ahead
from seglib.training.settings import Kind, is_of_kind, kind_of
from seglib.training.speed import settle
from seglib.training.step import NotFiniteError, train_step
from tests.fakes import Squares, tiny_fcn

BASE = TrainConfig(steps=6, batch_size=4, lr=1e-2, warmup=2)


def poison(model, image_id: int):
    """Let the loss of every batch with this image be nan."""
    healthy = model.loss

    def loss(images, targets):
        factor = math.nan if any(t.image_id == image_id for t in targets) else 1.0
        return {name: factor * value for name, value in healthy(images, targets).items()}

    model.loss = loss
    return model


def test_training_lowers_the_loss_and_reports_every_step():
    seen: list[Progress] = []
    config = replace(BASE, steps=40)
    history = train(tiny_fcn(), Squares(), config, seen.append, validation=Squares())
    assert len(history.losses) == len(seen) == len(history.lr) == len(history.seconds) == 40
    assert sum(history.losses[-4:]) < 0.7 * sum(history.losses[:4])
    assert seen[6].step == 7
    assert seen[6].steps == 40
    assert seen[6].loss == history.losses[6] == pytest.approx(sum(seen[6].losses.values()))
    assert history.parts["semantic_loss"] == history.losses
    assert history.seconds == sorted(history.seconds)
    assert [row["step"] for row in history.validation] == [40]
    assert 0 < history.validation[0]["mean_iou"] <= 1


def test_same_seed_same_run_other_seed_other_run():
    runs = [
        train(tiny_fcn(), Squares(), replace(BASE, augment=True, seed=s)).losses for s in (1, 1, 2)
    ]
    assert runs[0] == runs[1]
    assert runs[0] != runs[2]


def test_workers_do_not_change_the_numbers_of_a_run():
    config = replace(BASE, augment=True)
    alone = train(tiny_fcn(), Squares(), config)
    assert train(tiny_fcn(), Squares(), replace(config, workers=2)).losses == alone.losses


def test_training_leaves_the_random_generators_as_they_were():
    model = tiny_fcn()
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    wanted = (torch.rand(()).item(), np.random.rand(), random.random())
    torch.manual_seed(5)
    np.random.seed(5)
    random.seed(5)
    train(model, Squares(), BASE, validation=Squares())
    assert (torch.rand(()).item(), np.random.rand(), random.random()) == wanted


def test_validation_does_not_change_the_run():
    plain = train(tiny_fcn(), Squares(), BASE)
    watched = train(tiny_fcn(), Squares(), replace(BASE, eval_every=2), validation=Squares())
    assert watched.losses == plain.losses
    assert [row["step"] for row in watched.validation] == [2, 4, 6]


def test_learning_rate_rises_then_falls_to_a_hundredth():
    config = TrainConfig(steps=100, lr=1.0, warmup=4)
    rates = [config.learning_rate(step) for step in range(100)]
    assert rates[:5] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert rates[52] == pytest.approx(0.01 + 0.99 * 0.5)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert 0.01 < rates[-1] < 0.011
    assert replace(config, schedule="constant").learning_rate(99) == 1.0


@pytest.mark.parametrize(
    ("field", "value"),
    [("steps", 0), ("lr", -1.0), ("lr", math.nan), ("ema", 1.0), ("optimizer", "adam"),
     ("precision", "fp16"), ("schedule", "step"), ("batch_size", 0)],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_by_name(field, value):
    with pytest.raises(SeglibError, match=field):
        TrainConfig(**{"steps": 1, field: value})


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("steps", "two", "a whole number"),
        ("steps", True, "a whole number"),
        ("lr", 0, "above 0 and below 1e+06"),
        ("ema", 1.0, "at least 0 and below 1"),
        ("augment", 1, "true or false"),
        ("device", "gpu", "one of auto, cpu, cuda, mps"),
        ("eval_limit", 0, "at least 1"),
        ("clip", math.inf, "at least 0"),
    ],
)
def test_the_error_for_a_setting_says_what_it_must_be(field, value, wanted):
    with pytest.raises(SeglibError) as error:
        TrainConfig(**{"steps": 1, field: value})
    assert str(error.value) == f"{field}={value!r}: it must be {wanted}"


def test_an_open_warmup_is_a_tenth_of_the_steps_and_at_most_200():
    assert [TrainConfig(steps=n, warmup=None).warmup_steps for n in (5, 50, 9000)] == [0, 5, 200]
    assert TrainConfig(steps=50).warmup_steps == 0


def test_a_kind_is_read_off_the_type_hint():
    assert kind_of(int) == Kind(int)
    assert kind_of(float | None) == Kind(float, optional=True)
    assert kind_of(Literal["a", "b"] | None) == Kind(str, ("a", "b"), optional=True)
    assert kind_of(Annotated[int | None, "text"]) == Kind(int, optional=True)
    held = {value: is_of_kind(value, Kind(float)) for value in (1, 1.5, "x", None)}
    assert held == {1: True, 1.5: True, "x": False, None: False}


def test_settings_and_history_survive_plain_values():
    history = train(tiny_fcn(), Squares(), BASE, validation=Squares())
    again = History.from_dict(json.loads(json.dumps(history.to_dict())))
    assert again == history
    assert TrainConfig.from_dict({**BASE.to_dict(), "out": "x"}).out == Path("x")
    assert differences(BASE, replace(BASE, out=Path("y"), precision="auto", eval_every=3)) == []
    assert differences(BASE, replace(BASE, lr=0.5, seed=9)) == ["lr", "seed"]


def test_clipping_bounds_the_step():
    """With plain SGD the first step moves the weights by lr times the clipped gradient."""
    config = TrainConfig(
        steps=1, batch_size=4, lr=1.0, optimizer="sgd", clip=0.01, weight_decay=0.0
    )
    model = tiny_fcn()
    before = [p.detach().clone() for p in model.parameters()]
    train(model, Squares(), config)
    moved = [(p - b).norm() for p, b in zip(model.parameters(), before, strict=True)]
    assert torch.stack(moved).norm().item() == pytest.approx(0.01, rel=1e-3)


def test_only_matrices_decay_and_frozen_weights_stay_out():
    model = tiny_fcn()
    decaying, free = build_optimizer(model, BASE).param_groups
    assert decaying["weight_decay"] == BASE.weight_decay
    assert free["weight_decay"] == 0
    assert all(p.ndim > 1 for p in decaying["params"])
    assert all(p.ndim <= 1 for p in free["params"])
    held = {id(p) for group in (decaying, free) for p in group["params"]}
    assert id(model.network.upscore.weight) not in held  # fixed bilinear
    assert len(held) == sum(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize(("backbone_lr", "share"), [(None, 0.5), (2e-3, 0.2), (0.0, 0.0)])
def test_the_backbone_has_its_share_of_the_learning_rate(backbone_lr, share):
    """By the model's config (here 0.5), or by the run's own `backbone_lr`; lr is 0.01."""
    model = tiny_fcn(backbone_lr_scale=0.5)
    optimizer = build_optimizer(model, replace(BASE, backbone_lr=backbone_lr))
    set_learning_rate(optimizer, 1e-3)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            wanted = 1e-3 * share if "backbone" in name.split(".") else 1e-3
            assert rates[id(parameter)] == pytest.approx(wanted), name


def test_a_step_by_hand():
    """Plain gradient descent: new weights are the old ones minus lr times the gradient."""
    images, targets = zip(*(Squares()[i] for i in range(2)), strict=True)
    model, twin = tiny_fcn(dropout=0.0), tiny_fcn(dropout=0.0).train()
    total = sum(twin.loss(images, targets).values())
    total.backward()
    losses = train_step(model, images, targets, torch.optim.SGD(model.parameters(), lr=0.1))
    assert losses == {"semantic_loss": total.item()}
    for moved, weight in zip(model.parameters(), twin.parameters(), strict=True):
        if weight.grad is not None:
            torch.testing.assert_close(moved, weight - 0.1 * weight.grad)


def test_a_step_that_is_not_finite_leaves_the_weights_alone():
    images, targets = zip(*(Squares()[i] for i in range(2)), strict=True)
    model = poison(tiny_fcn(), 101)
    before = [p.detach().clone() for p in model.parameters()]
    with pytest.raises(NotFiniteError, match=r"semantic_loss is nan on images 100, 101"):
        train_step(model, images, targets, torch.optim.SGD(model.parameters(), lr=0.1))
    assert all(torch.equal(p, b) for p, b in zip(model.parameters(), before, strict=True))


def test_the_models_config_says_how_images_are_varied():
    assert set(AUGMENTATIONS) == set(get_args(Augmentation))
    losses = {
        name: train(tiny_fcn(augmentation=name), Squares(), replace(BASE, augment=True)).losses
        for name in AUGMENTATIONS
    }
    assert losses["flip"] != losses["flip_crop_color"]
    image, target = Squares()[0]
    for seed in range(8):
        varied, _ = AUGMENTATIONS["flip"](image, target, torch.Generator().manual_seed(seed))
        assert torch.equal(varied, image) or torch.equal(varied, image.flip(-1))


def test_ema_by_hand():
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    ema = Ema(layer, decay=0.5)
    layer.weight.data.fill_(2.0)
    ema.update(layer, step=0)  # decay is still (1 + 0) / (10 + 0)
    assert ema.state["weight"].item() == pytest.approx(0.1 * 1 + 0.9 * 2)
    ema.update(layer, step=90)  # and now 0.5
    assert ema.state["weight"].item() == pytest.approx(0.5 * 1.9 + 0.5 * 2)
    with ema.averaged(layer):
        assert layer.weight.item() == pytest.approx(1.95)
    assert layer.weight.item() == 2.0


def test_averaged_weights_are_what_training_leaves(tmp_path):
    plain, averaged = tiny_fcn(), tiny_fcn()
    train(plain, Squares(), BASE)
    train(averaged, Squares(), replace(BASE, ema=0.99, out=tmp_path))
    saved = Checkpoint.load(tmp_path / "checkpoint.pt")
    for name, value in averaged.state_dict().items():
        assert torch.equal(value, saved.ema[name])
        assert torch.equal(plain.state_dict()[name], saved.model[name])
    assert any(not torch.equal(v, saved.model[n]) for n, v in averaged.state_dict().items())


def test_nonfinite_loss_names_step_and_images_and_keeps_the_last_checkpoint(tmp_path):
    config = replace(BASE, steps=12, batch_size=1, checkpoint_every=1, out=tmp_path)
    seen = []
    with pytest.raises(SeglibError, match=r"semantic_loss is nan on images 103: .*last good") as e:
        train(poison(tiny_fcn(), 103), Squares(), config, lambda p: seen.append(p.step))
    assert str(e.value).startswith(f"step {seen[-1] + 1}: ")
    assert str(tmp_path / "checkpoint.pt") in str(e.value)
    saved = Checkpoint.load(tmp_path / "checkpoint.pt")
    assert saved.step == seen[-1] >= 1
    assert all(bool(value.isfinite().all()) for value in saved.model.values())
    assert not (tmp_path / "model.safetensors").exists()


def test_nonfinite_gradient_stops_too():
    class Overflowing(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, gradient):
            return gradient * math.inf

    model = tiny_fcn()
    plain = model.loss
    model.loss = lambda images, targets: {
        name: Overflowing.apply(value) for name, value in plain(images, targets).items()
    }
    with pytest.raises(SeglibError, match="gradient is not finite on images"):
        train(model, Squares(), BASE)


def test_empty_dataset_is_refused():
    with pytest.raises(SeglibError, match="no images"):
        train(tiny_fcn(), Squares(0), BASE)


def test_the_run_s_folder_contains_log_checkpoint_and_model(tmp_path):
    model = tiny_fcn()
    config = replace(BASE, eval_every=3, out=tmp_path / "run")
    history = train(model, Squares(), config, validation=Squares(), command="seglib train fcn")
    rows = [json.loads(line) for line in (config.out / "log.jsonl").read_text().splitlines()]
    assert rows[0]["run"]["lr"] == 1e-2
    steps = [row for row in rows if "loss" in row]
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["loss"] for row in steps] == history.losses
    validations = [row for row in rows if "validation" in row]
    assert [row["step"] for row in validations] == [3, 6]
    assert validations[1]["validation"]["mean_iou"] == history.validation[1]["mean_iou"]
    header = pretrained.header(config.out)
    assert header.notes["command"] == "seglib train fcn"
    assert header.notes["figures"]["mean_iou"] == history.validation[1]["mean_iou"]
    images = [Squares()[0][0]]
    again = pretrained.load(config.out)
    assert torch.equal(again.predict(images)[0].semantic, model.predict(images)[0].semantic)
    assert sorted(p.name for p in config.out.iterdir()) == [
        "checkpoint.pt", "log.jsonl", "model.safetensors",
    ]  # fmt: skip


def test_interrupt_finishes_the_step_and_saves(tmp_path):
    def stop(progress: Progress) -> None:
        if progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    config = replace(BASE, out=tmp_path)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_fcn(), Squares(), config, stop)
    assert signal.getsignal(signal.SIGINT) is handler
    assert Checkpoint.load(tmp_path / "checkpoint.pt").step == 2
    resumed = train(tiny_fcn(seed=3), Squares(), config, resume=True)
    assert resumed.losses == train(tiny_fcn(), Squares(), BASE).losses


def test_auto_follows_the_device_and_not_the_clock(monkeypatch):
    open_ = replace(BASE, precision="auto", device="cpu")
    for features, wanted in (({"avx2", "avx512_f"}, "fp32"), ({"avx512_bf16"}, "bf16"),
                             ({"amx_bf16"}, "bf16"), (set(), "fp32")):  # fmt: skip
        monkeypatch.setattr(devices, "cpu_features", lambda features=features: features)
        chosen = settle(open_, tiny_fcn(), lambda: pytest.fail("no batch is needed for a rule"))
        assert (chosen.precision, chosen.channels_last) == (wanted, True)
    named = replace(BASE, precision="fp32", channels_last=False)
    assert settle(named, tiny_fcn(), lambda: pytest.fail("nothing is open")) == named


def test_cpu_features_are_clean_names():
    features = devices.cpu_features()
    assert features == {name for name in features if name.strip() == name}
    if platform.machine() == "x86_64":
        assert "sse2" in features


def test_tuning_takes_the_fastest_and_leaves_the_model_alone(monkeypatch, caplog):
    slow = {"fp32": 1.0, "bf16": 0.125}
    clock = [0.0]

    def step(model, images, targets, optimizer, precision):
        clock[0] += slow[precision]

    monkeypatch.setattr(speed, "train_step", step)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(devices, "cpu_features", lambda: {"amx_bf16"})
    model = tiny_fcn()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    open_ = replace(BASE, precision="auto", tune=True, device="cpu")
    with caplog.at_level(logging.INFO):
        chosen = settle(open_, model, lambda: Batch(0, [], []))
    assert chosen.precision == "bf16"
    # Three timed steps after one that is not counted; slower trials end after one timed step.
    assert clock[0] == 2 * 4 * 0.125 + 2 * 2 * 1.0
    assert all(torch.equal(before[n], v) for n, v in model.state_dict().items())
    assert caplog.messages == [
        "tuning: timing bf16, channels_last",
        "tuning: timing fp32, channels_last",
        "tuning: timing fp32, channels first",
        "tuning: timing bf16, channels first",
        "training on cpu with bf16, channels_last",
    ]


def test_tuning_times_real_steps():
    images, targets = zip(*(Squares()[i] for i in range(2)), strict=True)
    open_ = replace(BASE, precision="auto", tune=True, device="cpu")
    chosen = settle(open_, tiny_fcn(), lambda: Batch(0, list(images), list(targets)))
    assert chosen.precision in ("fp32", "bf16")
    assert chosen.channels_last in (True, False)


def test_bf16_trains():
    history = train(tiny_fcn(), Squares(), replace(BASE, steps=30, precision="bf16"))
    assert history.losses[-1] < 0.8 * history.losses[0]


def test_overfit_one_batch():
    images, targets = zip(*(Squares()[i] for i in range(3)), strict=True)
    seen = []
    model = tiny_fcn(dropout=0.0)
    losses = overfit(model, images, targets, steps=60, lr=1e-2, on_step=seen.append)
    assert len(losses) == len(seen) == 60
    assert losses[-1] < 0.3 * losses[0]
    assert not model.training
    with pytest.raises(SeglibError, match="smaller lr"):
        overfit(poison(model, 100), images, targets, steps=2)


def test_memory_source_reads_once_and_gives_the_same_samples():
    data = Squares()
    kept = MemorySource(data, ("semantic",))
    image, target = data[2]
    data.reads = 0
    for _ in range(3):
        again, same = kept[2]
        assert torch.equal(again, image)
        assert torch.equal(same.semantic, target.semantic)
        assert len(same) == 0  # a semantic model needs no objects
        assert same.image_id == target.image_id
        again.zero_()  # a copy: nothing that a caller does reaches the next reading
    assert data.reads == 1
    objects = MemorySource(data, ("instances",))[2][1]
    assert torch.equal(objects.masks, target.masks)
    assert torch.equal(objects.boxes, target.boxes)
    assert objects.semantic is None


def test_memory_source_respects_its_limit():
    data = Squares()
    one = 4 * 48 * 48
    kept = MemorySource(data, ("semantic",), limit=one)
    for _ in range(2):
        kept[0], kept[1]
    assert data.reads == 3  # image 0 once, image 1 each time


def test_one_ahead_keeps_order_and_passes_errors_on():
    assert list(one_ahead(iter(range(5)))) == [0, 1, 2, 3, 4]

    def broken():
        yield 1
        raise SeglibError("image 7 is missing")

    items = one_ahead(broken())
    assert next(items) == 1
    with pytest.raises(SeglibError, match="image 7"):
        next(items)
