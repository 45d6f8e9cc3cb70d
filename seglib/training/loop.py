"""The training loop: one loop for every paradigm, because every model computes its own losses."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import torch
from torch import Tensor

from seglib.data.loading import Samples
from seglib.errors import SeglibError
from seglib.metrics.dataset import LabelledImages
from seglib.models.base import Segmenter
from seglib.structures import Target
from seglib.training import checkpoint, distributed
from seglib.training.config import History, Progress, TrainConfig
from seglib.training.losses import compute_losses
from seglib.training.run import OnStep, Run


def train(
    model: Segmenter,
    dataset: Samples,
    config: TrainConfig,
    on_step: OnStep | None = None,
    *,
    validation: LabelledImages | None = None,
    resume: bool = False,
    command: str = "",
) -> History:
    """Train `model` in place; afterwards it holds the final (averaged, with `ema`) weights.

    The run depends on nothing but model, data, settings and thread count: Python's, NumPy's
    and torch's random generators are seeded, and restored afterwards. With `config.out` the
    folder gets log.jsonl (a line a step), checkpoint.pt and, at the end, model.safetensors.

    Args:
        model: trained in place; left in evaluation mode.
        dataset: gives (image, target) by index; kept in memory after the first reading.
        config: see `TrainConfig`.
        on_step: called after every step with a `Progress`.
        validation: evaluated every `config.eval_every` steps and at the end.
        resume: continue from config.out/checkpoint.pt, bit by bit as if never interrupted.
        command: how the run was started, for the header of model.safetensors.

    Returns:
        The course of the run.

    Raises:
        SeglibError: a loss that is not finite, a checkpoint that does not fit, no data.
        KeyboardInterrupt: once the step is finished and a checkpoint written.
    """
    if len(dataset) == 0:
        raise SeglibError("nothing to train on: the dataset has no images")
    with distributed.process_group(), checkpoint.random_state_kept():
        checkpoint.seed_everything(config.seed)
        return Run(model, dataset, config, validation, resume, command).go(on_step)


def overfit(
    model: Segmenter,
    images: Sequence[Tensor],
    targets: Sequence[Target],
    steps: int,
    lr: float = 1e-3,
    on_step: OnStep | None = None,
) -> list[float]:
    """Fit one batch again and again: a model that cannot do this has a bug.

    Args:
        model: trained in place with Adam; left in evaluation mode.
        images: float [3, H, W] each, in 0…1.
        targets: theirs.
        steps: how often.
        lr: constant learning rate.
        on_step: called after every step with a `Progress`.

    Returns:
        the loss before each step.

    Raises:
        SeglibError: a loss that is not finite, or images too small for batch norm.
    """
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    history: list[float] = []
    start = time.perf_counter()
    model.train()
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        losses = compute_losses(model, images, targets)
        total = torch.stack(list(losses.values())).sum()
        total.backward()
        optimizer.step()
        history.append(total.item())
        if not math.isfinite(history[-1]):
            raise SeglibError(f"step {step}: the loss is {history[-1]}; try a smaller lr than {lr}")
        if on_step is not None:
            parts = {name: value.item() for name, value in losses.items()}
            seconds = time.perf_counter() - start
            on_step(Progress(step, steps, history[-1], parts, lr, seconds))
    model.eval()
    return history
