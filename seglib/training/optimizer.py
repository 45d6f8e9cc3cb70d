"""The optimiser of a run, and its learning rate."""

from __future__ import annotations

import torch

from seglib.models.base import Segmenter
from seglib.training.config import MOMENTUM, TrainConfig


def build_optimizer(model: Segmenter, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD with momentum over the model's `parameter_groups`.

    Each group keeps its share of the run's learning rate as "lr_scale".
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
    """Give every group its share of the run's learning rate."""
    for group in optimizer.param_groups:
        # An optimiser state saved by an earlier version names no share.
        group["lr"] = lr * group.get("lr_scale", 1.0)
