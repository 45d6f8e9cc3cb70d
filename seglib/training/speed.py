"""Decide the precision and layout that settings leave open, by rule or, with `tune`, by timing.

The rule depends on the device alone, so that the same command and seed give the same weights on
one machine. Timing may choose differently next time.
"""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch

from seglib import distributed
from seglib.data.loading import Batch
from seglib.devices import has_fast_bf16
from seglib.models.base import Segmenter
from seglib.training.config import Precision, TrainConfig
from seglib.training.random_state import random_state_kept
from seglib.training.step import train_step

TIMED_STEPS = 3
log = logging.getLogger(__name__)


def memory_format(config: TrainConfig) -> torch.memory_format:
    """The layout that the run's weights have."""
    return torch.channels_last if config.channels_last else torch.contiguous_format


def settle(config: TrainConfig, model: Segmenter, first_batch: Callable[[], Batch]) -> TrainConfig:
    """Decide the precision and layout that the settings leave open, and log the choice.

    Args:
        config: settings with a decided device; those that are open are replaced.
        model: the model on that device; it is not changed.
        first_batch: makes a batch of the size that the run will use, for `tune`.
    """
    if config.tune:
        config = settle_by_timing(config, model, first_batch())
    else:
        config = settle_by_rule(config, next(model.parameters()).device)
    _say(f"training on {config.device} with {_in_words(config)}")
    return config


def settle_by_rule(config: TrainConfig, device: torch.device) -> TrainConfig:
    """Decide precision and layout by the device's abilities.

    The precision is bfloat16 if the device supports it natively, since emulating it takes several
    times as long. The layout has the channels innermost, with which a step of each model takes 13
    to 90 % less time on an x86 processor. Apple's GPU gets neither, as neither was measured there.
    """
    fastest: Precision = "bf16" if has_fast_bf16(device) else "fp32"
    return replace(
        config,
        precision=fastest if config.precision == "auto" else config.precision,
        channels_last=(
            device.type != "mps" if config.channels_last is None else config.channels_last
        ),
    )


def settle_by_timing(config: TrainConfig, model: Segmenter, batch: Batch) -> TrainConfig:
    """Decide precision and layout by the fastest of a few timed steps.

    A trial ends as soon as it has taken longer than the best one before it.

    Args:
        config: settings; those that are open are timed.
        model: it is not changed; copies of it are timed.
        batch: a batch of the size that the run will use.
    """
    by_rule = settle_by_rule(config, next(model.parameters()).device)
    precisions: list[Precision] = (
        ["fp32", "bf16"] if config.precision == "auto" else [config.precision]
    )
    layouts = [True, False] if config.channels_last is None else [config.channels_last]
    candidates = [
        replace(config, precision=precision, channels_last=layout)
        for precision, layout in product(precisions, layouts)
    ]
    # The most likely winner first, so that the others' trials end early.
    candidates.sort(key=lambda candidate: candidate != by_rule)
    best, best_seconds = candidates[0], math.inf
    with random_state_kept():
        for candidate in candidates:
            _say(f"tuning: timing {_in_words(candidate)}")
            seconds = _seconds(candidate, model, batch, best_seconds)
            if seconds < best_seconds:
                best, best_seconds = candidate, seconds
    return best


def _in_words(config: TrainConfig) -> str:
    layout = "channels_last" if config.channels_last else "channels first"
    return f"{config.precision}, {layout}"


def _say(message: str) -> None:
    """Log once for all processes."""
    if distributed.rank() == 0:
        log.info(message)


def _seconds(config: TrainConfig, model: Segmenter, batch: Batch, limit: float) -> float:
    """The time of a few steps of a copy, after a first one that is not counted.

    It is infinite if it exceeds `limit`. With several processes, it is that of the slowest one, so
    that all processes make the same choice.
    """
    trial = copy.deepcopy(model).to(memory_format=memory_format(config))
    optimizer = torch.optim.SGD(trial.parameters(), lr=0.0)

    def step() -> None:
        train_step(trial, batch.images, batch.targets, optimizer, precision=config.precision)

    step()
    start = time.perf_counter()
    for _ in range(TIMED_STEPS):
        step()
        if distributed.in_any_process(time.perf_counter() - start > limit):
            return math.inf
    return max(distributed.gather(time.perf_counter() - start))
