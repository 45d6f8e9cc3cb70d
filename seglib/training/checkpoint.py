"""Checkpoints: everything that an interrupted run needs to continue as if it had not stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.training.finite import first_nonfinite
from seglib.training.history import History
from seglib.training.random_state import random_state_kept, set_rng_state

FORMAT = 1
FILE_NAME = "checkpoint.pt"


@dataclass
class Checkpoint:
    """The state of a run after `step` steps.

    Attributes:
        step: finished steps, which is also the sampler's position.
        model: the model's state dict.
        optimizer: the optimiser's state dict.
        ema: the averaged weights, or None without averaging.
        rng: one `rng_state` per process.
        history: the values of `History.to_dict()`, which include the settings.
        data: what the run was trained on (name, number of images, a digest of the image ids).
        threads: torch's thread count, on which the last digits of sums depend.
    """

    step: int
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    ema: dict[str, Tensor] | None
    rng: list[dict[str, Any]]
    history: dict[str, Any]
    data: dict[str, Any]
    threads: int

    def save(self, path: Path) -> None:
        """Write the file completely or not at all.

        Raises:
            SeglibError: the file cannot be written.
        """
        try:
            write_atomic(path, lambda stream: torch.save({"format": FORMAT, **vars(self)}, stream))
        except RuntimeError as error:  # how torch ends when its stream raises OSError
            reason = error.__context__ if isinstance(error.__context__, OSError) else error
            raise SeglibError(
                f"cannot write {path}: {getattr(reason, 'strerror', None) or 'the write failed'}"
            ) from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file without running any code in it.

        Raises:
            SeglibError: there is no such file, or it is damaged or not a checkpoint; the message
                names the field at fault.
        """
        if not path.is_file():
            raise SeglibError(f"no checkpoint at {path}: start the run without resuming")
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # torch raises many kinds of errors for damaged files
            raise SeglibError(f"{path} is damaged or is not a checkpoint of seglib") from error
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise SeglibError(f"{path} is not a checkpoint of this version of seglib")
        names = {field.name for field in fields(cls)}
        faults = [f"{name} is missing" for name in sorted(names - values.keys())]
        faults += [f"{name} is unknown" for name in values if name not in names]
        if not faults:
            found = cls(**values)
            faults = [f"{name} is damaged" for name in _SOUND if not _is_sound(name, found)]
        if faults:
            raise SeglibError(f"{path} is not a checkpoint of this version of seglib ({faults[0]})")
        return found


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and all(isinstance(part, Tensor) for part in value.values())
        and first_nonfinite(value) is None
    )


def _is_average(state: dict[str, Tensor] | None, found: Checkpoint) -> bool:
    if not found.history["config"]["ema"]:
        return state is None
    return state is not None and _is_state(state) and state.keys() == found.model.keys()


def _is_optimizer(state: dict[str, Any]) -> bool:
    return isinstance(state["state"], dict) and all("params" in g for g in state["param_groups"])


def _is_restorable(states: list[dict[str, Any]]) -> bool:
    with random_state_kept():
        for state in states:
            set_rng_state(state)
    return len(states) > 0


def _is_course(plain: dict[str, Any], steps: int) -> bool:
    """Whether this is the history of a run of so many steps, with its settings."""
    history = History.from_dict(plain)
    rows = [history.losses, history.lr, history.seconds, *history.parts.values()]
    numbers = [value for row in rows for value in row] + [history.cpu_seconds]
    return (
        history.config is not None
        and all(len(row) == steps for row in rows)
        and all(math.isfinite(value) for value in numbers)
        and all(math.isfinite(row["step"]) for row in history.validation)
    )


# What resuming assumes of each field; a check may also raise.
_SOUND: dict[str, Callable[[Checkpoint], bool]] = {
    "step": lambda found: isinstance(found.step, int) and found.step > 0,
    "model": lambda found: _is_state(found.model),
    "optimizer": lambda found: _is_optimizer(found.optimizer),
    "rng": lambda found: _is_restorable(found.rng),
    "history": lambda found: _is_course(found.history, found.step),
    "ema": lambda found: _is_average(found.ema, found),
    "data": lambda found: {"name", "images"} <= found.data.keys(),
    "threads": lambda found: isinstance(found.threads, int),
}


def _is_sound(name: str, found: Checkpoint) -> bool:
    try:
        return _SOUND[name](found)
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError, SeglibError):
        return False
