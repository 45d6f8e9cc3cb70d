"""The optimiser of a run, and its learning rate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.training.config import MOMENTUM, TrainConfig

ADAM_FIELDS = ("step", "exp_avg", "exp_avg_sq")


def build_optimizer(model: Segmenter, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum over the model's `parameter_groups`.

    Each group has its factor on the run's learning rate as "lr_scale".
    """
    scale = None if config.backbone_lr is None else config.backbone_lr / config.lr
    groups = [
        {
            "params": group.parameters,
            "weight_decay": config.weight_decay if group.decays else 0.0,
            "lr_scale": group.lr_scale,
        }
        for group in model.parameter_groups(scale)
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.lr, momentum=MOMENTUM)
    return torch.optim.AdamW(groups, lr=config.lr)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's learning rate to its factor times the run's."""
    for group in optimizer.param_groups:
        # An optimiser state saved by an earlier version names no share.
        group["lr"] = lr * group.get("lr_scale", 1.0)


def restore_optimizer(
    saved: dict[str, Any], model: nn.Module, optimizer: torch.optim.Optimizer
) -> None:
    """Put a saved state into an optimiser of the same settings.

    Raises:
        SeglibError: a part of the state is not one that this optimiser can have after a step; the
            message names it.
    """
    before = [dict(group) for group in optimizer.param_groups]
    try:
        optimizer.load_state_dict(saved)
    except (RuntimeError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SeglibError(" ".join(str(error).split()) or type(error).__name__) from error
    for number, (old, new) in enumerate(zip(before, optimizer.param_groups, strict=True)):
        for name in old.keys() - {"params", "lr", "lr_scale"}:
            if new.get(name) != old[name]:
                raise SeglibError(f"{name} of group {number} is damaged")
    kept = len(optimizer.state)
    if kept == 0 or kept != saved.get("weights", kept):
        raise SeglibError("the state of a weight is missing")
    fields = ("momentum_buffer",) if isinstance(optimizer, torch.optim.SGD) else ADAM_FIELDS
    for name, weight in model.named_parameters():
        if weight in optimizer.state:  # a weight that no loss has reached yet has none
            _check_moments(name, weight, optimizer.state[weight], fields)


def _check_moments(name: str, weight: Tensor, state: dict[str, Any], fields: Sequence[str]) -> None:
    for field in fields:
        value = state.get(field)
        shape = torch.Size() if field == "step" else weight.shape
        if value is None:
            raise SeglibError(f"{field} of {name} is missing")
        if not isinstance(value, Tensor) or value.shape != shape:
            raise SeglibError(f"{field} of {name} is not a tensor of shape {list(shape)}")
        if not value.isfinite().all():
            raise SeglibError(f"{field} of {name} is not finite")
        if field in ("step", "exp_avg_sq") and (value < 0).any():
            raise SeglibError(f"{field} of {name} is negative")
