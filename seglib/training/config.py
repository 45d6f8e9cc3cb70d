"""What a training run is asked to do, and what it tells about itself."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from seglib.errors import SeglibError

Precision = Literal["fp32", "bf16", "auto"]
OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("cosine", "constant")
PRECISIONS = ("fp32", "bf16", "auto")


@dataclass(frozen=True)
class TrainConfig:
    """The settings of one run; together with data and model they fix every number in it.

    Attributes:
        steps: optimiser steps.
        batch_size: images a step, over all processes together.
        lr: the highest learning rate, reached after the warm-up.
        weight_decay: on weights with two or more dimensions; biases and norms go free.
        optimizer: "adamw", or "sgd" with momentum 0.9.
        schedule: "cosine" falls from `lr` to a hundredth of it, "constant" stays.
        warmup: steps of linear rise from zero.
        clip: largest norm of the gradient of all weights together; 0 turns clipping off.
        ema: decay of the exponential moving average of the weights, which is then what
            validation and the final model use; 0 turns it off.
        precision: "fp32"; "bf16" autocast; or "auto", whichever a few timed steps find
            faster. Timing may choose differently next time, so a run that must repeat to the
            last digit names its precision.
        channels_last: store feature maps with channels innermost, faster on most CPUs; None
            decides by the same timing.
        augment: flip, scale, crop and recolour the images, seeded by (seed, step, image).
        seed: of weights drawn during training (dropout), order of images and augmentation.
        eval_every: steps between validations; 0 validates only at the end.
        eval_limit: validation images used during training (None: all); at the end all are.
        checkpoint_every: steps between checkpoints; 0 writes only the last.
        out: folder for log.jsonl, checkpoint.pt and model.safetensors; None writes nothing.
    """

    steps: int
    batch_size: int = 16
    lr: float = 1e-3
    weight_decay: float = 1e-4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup: int = 0
    clip: float = 1.0
    ema: float = 0.0
    precision: Precision = "fp32"
    channels_last: bool | None = True
    augment: bool = False
    seed: int = 0
    eval_every: int = 0
    eval_limit: int | None = None
    checkpoint_every: int = 0
    out: Path | None = None

    def __post_init__(self) -> None:
        """Raises SeglibError naming the first setting that makes no sense."""
        rules = {
            "steps": (self.steps >= 1, "at least 1"),
            "batch_size": (self.batch_size >= 1, "at least 1"),
            "lr": (math.isfinite(self.lr) and self.lr > 0, "above 0"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "optimizer": (self.optimizer in OPTIMIZERS, f"one of {', '.join(OPTIMIZERS)}"),
            "schedule": (self.schedule in SCHEDULES, f"one of {', '.join(SCHEDULES)}"),
            "warmup": (self.warmup >= 0, "0 or more"),
            "clip": (self.clip >= 0, "0 or more"),
            "ema": (0 <= self.ema < 1, "in 0…1, below 1"),
            "precision": (self.precision in PRECISIONS, f"one of {', '.join(PRECISIONS)}"),
            "eval_every": (self.eval_every >= 0, "0 or more"),
            "checkpoint_every": (self.checkpoint_every >= 0, "0 or more"),
        }
        for name, (fine, wanted) in rules.items():
            if not fine:
                raise SeglibError(f"{name}={getattr(self, name)!r}: it must be {wanted}")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for logs and checkpoints; `from_dict` reads them back."""
        return {**asdict(self), "out": None if self.out is None else str(self.out)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Build from `to_dict`'s values."""
        out = values.get("out")
        return cls(**{**values, "out": None if out is None else Path(out)})

    def learning_rate(self, step: int) -> float:
        """The learning rate of step 0…steps-1: a function of the step, so nothing to save."""
        if step < self.warmup:
            return self.lr * (step + 1) / (self.warmup + 1)
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup) / max(1, self.steps - self.warmup)
        return self.lr * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


# These only say where and how often to write, so a resumed run may change them.
FREE_ON_RESUME = frozenset({"out", "eval_every", "eval_limit", "checkpoint_every"})
# "auto" is replaced by what the first run chose.
CHOSEN_BY_TIMING = frozenset({"precision", "channels_last"})


def differences(saved: TrainConfig, wanted: TrainConfig) -> list[str]:
    """Names of the settings in which a resumed run would differ from the saved one."""
    undecided = {
        name for name in CHOSEN_BY_TIMING if getattr(wanted, name) in ("auto", None)
    } | FREE_ON_RESUME
    return [
        f.name
        for f in fields(TrainConfig)
        if f.name not in undecided and getattr(saved, f.name) != getattr(wanted, f.name)
    ]


@dataclass
class Progress:
    """One finished step, as `on_step` receives it.

    Attributes:
        step: 1 for the first step.
        steps: how many there will be.
        loss: the sum of the named losses, averaged over all processes.
        losses: the named losses.
        lr: the learning rate used.
        seconds: of this run since its start, a resumed run's earlier part included.
    """

    step: int
    steps: int
    loss: float
    losses: dict[str, float]
    lr: float
    seconds: float


@dataclass
class History:
    """The course of a run; row i of every list is step i + 1.

    Attributes:
        losses: sum of the named losses.
        parts: each named loss.
        lr: learning rates.
        seconds: wall-clock time since the start.
        validation: the validations, each {"step": …, metric name: value}.
        cpu_seconds: processor time of the first process's threads, validation included.
        config: the settings, with precision and channels_last as they were chosen.
    """

    losses: list[float] = field(default_factory=list)
    parts: dict[str, list[float]] = field(default_factory=dict)
    lr: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    validation: list[dict[str, float]] = field(default_factory=list)
    cpu_seconds: float = 0.0
    config: TrainConfig | None = None

    def append(self, progress: Progress) -> None:
        """Add one step."""
        self.losses.append(progress.loss)
        self.lr.append(progress.lr)
        self.seconds.append(progress.seconds)
        for name, value in progress.losses.items():
            self.parts.setdefault(name, []).append(value)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; `from_dict` reads them back."""
        plain = asdict(self)
        plain["config"] = None if self.config is None else self.config.to_dict()
        return plain

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> History:
        """Build from `to_dict`'s values."""
        config = values["config"]
        return cls(
            **{**values, "config": None if config is None else TrainConfig.from_dict(config)}
        )
