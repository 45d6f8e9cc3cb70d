"""Checkpoints and runs that were edited, mixed up, or badly trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from seglib import pretrained
from seglib.models import build_model
from seglib.structures import Categories, Category
from tests.fakes import CATEGORIES, tiny_fcn, write_squares
from tests.helpers import run_cli
from tests.planted_faults.fault import Arguments, Fault

FEW = ("--limit", 2)


def saved(model: Any) -> Callable[[Path], Arguments]:
    """A model's file, examined on squares."""

    def plant(folder: Path) -> Arguments:
        spec = f"coco:{write_squares(folder / 'squares')}"
        return [pretrained.save(model(), folder / "model.safetensors"), "-d", spec]

    return plant


def reconfigured(name: str, **settings: Any) -> Callable[[Path], Arguments]:
    """A shipped checkpoint whose configuration was edited, examined on Pocket COCO."""

    def plant(folder: Path) -> Arguments:
        model = pretrained.load(name)
        config = type(model.config).from_dict({**model.config.to_dict(), **settings})
        other = type(model)(config, model.categories)
        other.load_state_dict(model.state_dict())
        return [pretrained.save(other, folder / "model.safetensors"), *FEW]

    return plant


def other_class_order(folder: Path) -> Arguments:
    """A shipped checkpoint whose list of classes was sorted by name."""
    model = pretrained.load("fcn")
    names = sorted(model.categories.names)
    model.categories = Categories(
        Category(label, label, name) for label, name in enumerate(names, start=1)
    )
    return [pretrained.save(model, folder / "model.safetensors"), *FEW]


def cut_short(folder: Path) -> Arguments:
    """A checkpoint of which the download stopped."""
    path = pretrained.save(tiny_fcn(), folder / "model.safetensors")
    path.write_bytes(path.read_bytes()[:-500])
    return [path, "-d", f"coco:{write_squares(folder / 'squares')}"]


def trained(*options: object) -> Callable[[Path], Arguments]:
    """A run on squares."""

    def plant(folder: Path) -> Arguments:
        run, spec = folder / "run", f"coco:{write_squares(folder / 'squares')}"
        done = run_cli("train", "fcn", "-d", spec, "--batch-size", 2, "--size", 32, "--no-eval",
                       "--precision", "fp32", "--out", run, *options)  # fmt: skip
        assert done.exit_code == 0, done.output
        return [run]

    return plant


def interrupted(folder: Path) -> Arguments:
    """A run that was killed: its log ends early, and there is no model."""
    (run,) = trained("--steps", 6)(folder)
    assert isinstance(run, Path)
    log = run / "log.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:4]))
    (run / "model.safetensors").unlink()
    return [run]


def of_another_run(folder: Path) -> Arguments:
    """A run's folder into which another paradigm's file was copied."""
    (run,) = trained("--steps", 1)(folder)
    assert isinstance(run, Path)
    small = {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8}
    torch.manual_seed(0)
    pretrained.save(build_model("mask_rcnn", CATEGORIES, **small), run / "model.safetensors")
    return [run]


def of_other_classes(folder: Path) -> Arguments:
    """A shipped checkpoint on a data set of other classes."""
    return ["fcn", "-d", f"coco:{write_squares(folder / 'squares')}"]


CHECKPOINT_FAULTS = (
    Fault("checkpoint: never trained", saved(tiny_fcn), "untrained"),
    Fault("checkpoint: cut short", cut_short, "broken-checkpoint"),
    Fault("checkpoint: classes that the data set lacks", of_other_classes, "no-common-class"),
    Fault(
        "checkpoint: no normalisation",
        reconfigured("mask_rcnn", pixel_mean=[0.0, 0.0, 0.0], pixel_std=[1.0, 1.0, 1.0]),
        "normalisation",
        is_slow=True,
    ),
    Fault(
        "checkpoint: score threshold too high",
        reconfigured("mask_rcnn", score_threshold=0.9999),
        "threshold",
        is_slow=True,
    ),
    Fault(
        "checkpoint: classes in another order", other_class_order, "classes-mixed-up", is_slow=True
    ),
    Fault("run: another paradigm's file", of_another_run, "wrong-checkpoint", is_slow=True),
    Fault("run: killed", interrupted, "interrupted"),
    Fault(
        "run: learning rate too high",
        trained("--steps", 30, "--lr", 20),
        "rate-too-high",
        is_slow=True,
    ),
    Fault("run: too few steps", trained("--steps", 8), "too-few-steps", is_slow=True),
)
