"""What a training run records: the progress of each step, and its whole history."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from seglib.training.config import TrainConfig


@dataclass
class Progress:
    """One finished step, as `on_step` receives it.

    Attributes:
        step: the number of the step, from 1.
        steps: the number of steps of the run.
        loss: the sum of the named losses, averaged over all processes.
        losses: the named losses.
        lr: the learning rate of the step; a model may give its backbone a fraction of it.
        seconds: time since the start of the run, including the time before a resume.
    """

    step: int
    steps: int
    loss: float
    losses: dict[str, float]
    lr: float
    seconds: float


@dataclass
class History:
    """The history of a run; row i of every list is step i + 1.

    Attributes:
        losses: sum of the named losses.
        parts: each named loss.
        lr: learning rates.
        seconds: wall-clock time since the start.
        validation: the validations, each {"step": …, metric name: value}.
        cpu_seconds: processor time of all threads of the first process, including validation.
        config: the settings, with device, precision and channels_last as they were decided.
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
