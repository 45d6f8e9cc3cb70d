"""Checkpoints: everything a killed run needs to go on as if nothing had happened."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglib.data.atomic import write_atomic
from seglib.errors import SeglibError

FORMAT = 1
FILE_NAME = "checkpoint.pt"
_UNREADABLE = (OSError, RuntimeError, pickle.UnpicklingError, EOFError, KeyError, ValueError)


@dataclass
class Checkpoint:
    """The state of a run after `step` steps.

    Attributes:
        step: finished steps, which is also the sampler's position.
        model: the model's state dict.
        optimizer: the optimiser's state dict.
        ema: the averaged weights, or None without averaging.
        rng: one `rng_state` per process.
        history: `History.to_dict()`, with the settings inside.
        data: what the run was trained on (name, images, a digest of the image ids).
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
        """Write the file whole or not at all."""
        write_atomic(path, lambda stream: torch.save({"format": FORMAT, **vars(self)}, stream))

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a file without running any code in it.

        Raises:
            SeglibError: no such file, or one that is damaged or not a checkpoint.
        """
        if not path.is_file():
            raise SeglibError(f"no checkpoint at {path}: start the run without resuming")
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
        except _UNREADABLE as error:
            raise SeglibError(f"{path} is damaged or no checkpoint of seglib") from error
        if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
            raise SeglibError(f"{path} is no checkpoint of this version of seglib")
        return cls(**values)


def rng_state() -> dict[str, Any]:
    """The state of the three random generators, in plain values and tensors."""
    _, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    version, internal, gauss = random.getstate()
    return {
        "torch": torch.get_rng_state(),
        "numpy": [torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
        "python": [version, list(internal), gauss],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Put the generators back to a saved `rng_state`."""
    torch.set_rng_state(state["torch"])
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))


@contextmanager
def random_state_kept() -> Iterator[None]:
    """Leave the random generators after a `with` block as they were before it."""
    before = rng_state()
    try:
        yield
    finally:
        set_rng_state(before)


def seed_everything(seed: int) -> None:
    """Seed torch, numpy and Python alike."""
    torch.manual_seed(seed)
    np.random.seed(seed % 2**32)
    random.seed(seed)
