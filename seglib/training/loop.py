"""Training a model on a data set, or on a single batch first."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor

from seglib import distributed
from seglib.data.loading import Samples
from seglib.devices import find_device
from seglib.errors import SeglibError
from seglib.metrics.dataset import LabelledImages
from seglib.models.base import Segmenter
from seglib.structures import Target
from seglib.training.config import TrainConfig
from seglib.training.folder import run_folder
from seglib.training.history import History, Progress
from seglib.training.random_state import random_state_kept, seed_everything
from seglib.training.run import OnStep, Run
from seglib.training.step import NotFiniteError, train_step


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
    """Train `model` in place; afterwards it has the final (averaged, with `ema`) weights.

    The run depends only on model, data, settings, device and thread count: the random generators of
    Python, NumPy and torch are seeded, and restored afterwards. The folder `config.out`, if it is
    set, receives log.jsonl (one line per step), checkpoint.pt and, at the end, model.safetensors.

    Args:
        model: trained in place, on the device of the settings; left there in evaluation mode.
        dataset: returns (image, target) by index; it is kept in memory after the first reading.
        config: see `TrainConfig`.
        on_step: called after every step with a `Progress`.
        validation: evaluated every `config.eval_every` steps and at the end.
        resume: continue from config.out/checkpoint.pt, bit for bit as if never interrupted; a log
            message says if another device or thread count prevents that.
        command: how the run was started, for the header of model.safetensors.

    Returns:
        the history of the run.

    Raises:
        SeglibError: a loss is not finite, the checkpoint does not fit, there is no data or no such
            device, or another run is writing to the folder.
        KeyboardInterrupt: the user interrupted the run; the step has been finished and a checkpoint
            written.
    """
    if len(dataset) == 0:
        raise SeglibError("nothing to train on: the dataset has no images")
    device = find_device(config.device or next(model.parameters()).device)
    with distributed.process_group(device), run_folder(config.out), random_state_kept():
        seed_everything(config.seed)
        return Run(model, dataset, config, device, validation, resume, command).finish(on_step)


def overfit(
    model: Segmenter,
    images: Sequence[Tensor],
    targets: Sequence[Target],
    steps: int,
    lr: float = 1e-3,
    on_step: OnStep | None = None,
) -> list[float]:
    """Train on one batch again and again: a model that cannot fit it has a bug.

    Args:
        model: trained in place with Adam; left in evaluation mode.
        images: float [3, H, W] each, in 0…1.
        targets: one per image.
        steps: number of steps.
        lr: constant learning rate.
        on_step: called after every step with a `Progress`.

    Returns:
        the loss before each step.

    Raises:
        SeglibError: a loss is not finite, or the images are too small for batch norm.
    """
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=lr)
    history: list[float] = []
    start = time.perf_counter()
    for step in range(1, steps + 1):
        try:
            losses = train_step(model, images, targets, optimizer)
        except NotFiniteError as error:
            raise SeglibError(f"step {step}: {error}; try a smaller lr than {lr}") from error
        history.append(sum(losses.values()))
        if on_step is not None:
            seconds = time.perf_counter() - start
            on_step(Progress(step, steps, history[-1], losses, lr, seconds))
    model.eval()
    return history
