"""Choosing by timing: bfloat16 and channels_last help on some processors and hurt on others."""

from __future__ import annotations

import copy
import time
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from seglib.models.base import Segmenter
from seglib.structures import Target
from seglib.training.checkpoint import random_state_kept
from seglib.training.config import TrainConfig
from seglib.training.losses import compute_losses

TIMED_STEPS = 3


def autocast(config: TrainConfig) -> torch.autocast:
    """The context in which the run's losses are computed."""
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=config.precision == "bf16")


def memory_format(config: TrainConfig) -> torch.memory_format:
    """The layout that the run's weights have."""
    return torch.channels_last if config.channels_last else torch.contiguous_format


def choose(
    model: Segmenter, images: Sequence[Tensor], targets: Sequence[Target], config: TrainConfig
) -> TrainConfig:
    """Replace "auto" precision and undecided channels_last by the fastest of a few timed steps.

    Args:
        model: stays as it is; copies of it are timed.
        images: a batch of the size that the run will use.
        targets: theirs.
        config: returned unchanged when it leaves nothing open.
    """
    candidates = [
        replace(config, precision=precision, channels_last=layout)
        for precision in (("fp32", "bf16") if config.precision == "auto" else (config.precision,))
        for layout in ((True, False) if config.channels_last is None else (config.channels_last,))
    ]
    if len(candidates) == 1:
        return candidates[0]
    with random_state_kept():
        times = [_seconds_a_step(model, images, targets, one) for one in candidates]
    return candidates[times.index(min(times))]


def _seconds_a_step(
    model: Segmenter, images: Sequence[Tensor], targets: Sequence[Target], config: TrainConfig
) -> float:
    """The median time of forward and backward passes, after one that is not counted."""
    trial = copy.deepcopy(model).to(memory_format=memory_format(config)).train()
    times = []
    for _ in range(TIMED_STEPS + 1):
        start = time.perf_counter()
        trial.zero_grad(set_to_none=True)
        with autocast(config):
            total = torch.stack(list(compute_losses(trial, images, targets).values())).sum()
        total.backward()
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[TIMED_STEPS // 2]
