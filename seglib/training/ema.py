"""The exponential moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Ema:
    """Keeps `average = decay * average + (1 - decay) * weight`, step by step.

    The decay rises from 0.1 as (1 + step) / (10 + step), so that the first, random weights are
    forgotten. Buffers, such as batch-norm statistics, are already averages and are copied.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        """Start from the model's present weights."""
        self.decay = decay
        self.state = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._weights = {name for name, _ in model.named_parameters()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Add the weights after step `step`, counted from 0, to the average."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for name, value in model.state_dict().items():
            if name in self._weights:
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def load(self, state: dict[str, Tensor]) -> None:
        """Continue from a saved `state`."""
        for name, value in self.state.items():
            value.copy_(state[name])

    @contextmanager
    def averaged(self, model: nn.Module) -> Iterator[None]:
        """Put the average into the model for the duration of a `with` block."""
        present = {name: value.detach().clone() for name, value in model.state_dict().items()}
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(present)
