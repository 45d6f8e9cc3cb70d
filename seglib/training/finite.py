"""Check that the numbers of a run are finite: a step may overflow although its losses do not."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def first_nonfinite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with an infinite value or a NaN, or None."""
    floats = {name: value for name, value in tensors.items() if value.is_floating_point()}
    if not floats:
        return None
    # All are checked together, since every check of its own would wait for the GPU.
    sound = torch.stack([value.isfinite().all() for value in floats.values()]).tolist()  # [T]
    return next((name for name, good in zip(floats, sound, strict=True) if not good), None)


def moments(
    model: nn.Module, optimizer: torch.optim.Optimizer
) -> list[tuple[str, dict[str, Tensor]]]:
    """The optimiser's state: (name such as "exp_avg", tensor) for each weight."""
    kept: dict[str, dict[str, Tensor]] = {}
    for name, weight in model.named_parameters():
        for field, value in optimizer.state.get(weight, {}).items():
            if isinstance(value, Tensor) and value.shape == weight.shape:
                kept.setdefault(field, {})[name] = value
    return list(kept.items())
