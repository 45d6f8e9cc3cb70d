"""The settings of a training run."""

# ruff: noqa: RUF009 (the functions called among the fields make fields)

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal

from seglib.training.settings import check_settings, setting

Precision = Literal["fp32", "bf16", "auto"]
DeviceName = Literal["auto", "cpu", "cuda", "mps"]

learning = partial(setting, panel="Learning")
computing = partial(setting, panel="Computing")
watching = partial(setting, panel="Validation and files")
MOMENTUM = 0.9  # of SGD
MAX_RATE = 1e6  # far above any that learns, far below what weights in float32 can be changed by


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one run, which together with data and model determine every number in it.

    Each field states its meaning, its range and, if it differs, its default on the command line,
    whose options are made from these fields.

    Raises:
        SeglibError: a setting has a value that it does not allow; the message says what it must be.
    """

    steps: int = learning("Optimiser steps.", low=1, command_line=2000)
    batch_size: int = learning("Images per step, over all processes together.", 16, low=1)
    lr: float = learning(
        "Highest learning rate, reached after the warm-up.", 1e-3, above=0, below=MAX_RATE
    )
    backbone_lr: float | None = learning(
        "Highest learning rate of the backbone.",
        None,
        low=0,
        below=MAX_RATE,
        unset="lr times the model's backbone_lr_scale",
    )
    schedule: Literal["cosine", "constant"] = learning(
        "After the warm-up, fall to a hundredth of lr, or stay constant.", "cosine"
    )
    warmup: int | None = learning(
        "Steps over which the learning rate rises from zero.",
        0,
        low=0,
        command_line=None,
        unset="a tenth of the steps, at most 200",
    )
    optimizer: Literal["adamw", "sgd"] = learning(
        f"AdamW, or SGD with momentum {MOMENTUM}.", "adamw"
    )
    weight_decay: float = learning(
        "Weight decay of matrices and kernels; biases and norms have none.",
        1e-4,
        low=0,
        below=MAX_RATE,
    )
    clip: float = learning(
        "Largest norm of the gradient of all weights together; 0 is off.", 1.0, low=0
    )
    ema: float = learning(
        "Decay of averaged weights, which validation and the final model use; 0 is off.",
        0.0,
        low=0,
        below=1,
    )
    augment: bool = learning(
        "Augment images as the model's config prescribes.", False, command_line=True
    )
    seed: int = learning("Seed of all random numbers in the run.", 0, low=0)
    device: DeviceName | None = computing(
        "Where to compute; auto prefers a GPU.",
        None,
        command_line="auto",
        unset="the model's device",
    )
    precision: Precision = computing(
        "Precision of forward passes; auto is bf16 if the device supports it.",
        "fp32",
        command_line="auto",
    )
    channels_last: bool | None = computing(
        "Memory layout of feature maps: channels innermost, or outermost.",
        None,
        unset="innermost, except on mps",
    )
    tune: bool = computing(
        "Time the choices of precision and layout that are open; runs may then differ.",
        False,
    )
    workers: int = computing(
        "Processes that load and augment images in advance; 0 uses a thread.",
        0,
        low=0,
        below=1000,
    )
    eval_every: int = watching("Steps between validations; 0 for only at the end.", 0, low=0)
    eval_limit: int | None = watching(
        "Number of images in validations before the last.", None, low=1, unset="all"
    )
    checkpoint_every: int = watching(
        "Steps between checkpoints; 0 for only at the end.", 0, low=0, command_line=250
    )
    out: Path | None = watching(
        "Folder for log.jsonl, checkpoint.pt and model.safetensors.", None, unset="runs/MODEL"
    )

    def __post_init__(self) -> None:
        check_settings(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for logs and checkpoints; `from_dict` reads them back."""
        return {**asdict(self), "out": None if self.out is None else str(self.out)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Build from `to_dict`'s values."""
        out = values.get("out")
        return cls(**{**values, "out": None if out is None else Path(out)})

    @property
    def warmup_steps(self) -> int:
        """The length of the warm-up: the setting, or its default."""
        return min(200, self.steps // 10) if self.warmup is None else self.warmup

    def learning_rate(self, step: int) -> float:
        """The learning rate of step 0…steps-1, a function of the step alone."""
        if step < self.warmup_steps:
            return self.lr * (step + 1) / (self.warmup_steps + 1)
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


# How steps are computed and watched, but not which steps: a resumed run may change these.
FREE_ON_RESUME = {
    "device",
    "tune",
    "workers",
    "out",
    "eval_every",
    "eval_limit",
    "checkpoint_every",
}


def differences(saved: TrainConfig, wanted: TrainConfig) -> list[str]:
    """The names of the settings in which a resumed run would differ from the saved one.

    A setting that `wanted` leaves open is not a difference: the resumed run keeps the saved value.
    """
    free = set(FREE_ON_RESUME)
    if wanted.precision == "auto":
        free.add("precision")
    if wanted.channels_last is None:
        free.add("channels_last")
    names = [field.name for field in fields(TrainConfig) if field.name not in free]
    return [name for name in names if getattr(saved, name) != getattr(wanted, name)]
