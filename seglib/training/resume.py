"""Resume a run: check that a checkpoint belongs to it, and what may differ from now on."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from seglib import distributed
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.training.checkpoint import Checkpoint
from seglib.training.config import TrainConfig, differences
from seglib.training.ema import Ema
from seglib.training.optimizer import restore_optimizer

log = logging.getLogger(__name__)


def load_checkpoint(file: Path | None, config: TrainConfig, data: dict[str, Any]) -> Checkpoint:
    """The state to continue from.

    Args:
        file: checkpoint.pt in the run's folder; None if the run has no folder.
        config: the settings that the resumed run should have.
        data: what it would train on, from `samples.describe`.

    Raises:
        SeglibError: there is no folder or no checkpoint, or the checkpoint is damaged or belongs to
            a run with other settings, other data or another number of processes.
    """
    if file is None:
        raise SeglibError("resuming needs the folder of the run: set out")
    saved = Checkpoint.load(file)
    before = settings_of(saved)
    for name in differences(before, config):
        raise SeglibError(
            f"{file} was made with {name}={getattr(before, name)!r}, not "
            f"{getattr(config, name)!r}: resume with the same settings, or start another run"
        )
    if saved.data != data:
        raise SeglibError(
            f"{file} was trained on {saved.data['images']} images of "
            f"{saved.data['name'] or 'another dataset'}, and these are others: "
            "resume with the same data"
        )
    if len(saved.rng) != distributed.world_size():
        raise SeglibError(
            f"{file} was made by {len(saved.rng)} process(es), "
            f"not {distributed.world_size()}: resume with as many"
        )
    return saved


def settings_of(saved: Checkpoint) -> TrainConfig:
    """The settings of the run that wrote a checkpoint."""
    return TrainConfig.from_dict(saved.history["config"])


def restore(
    saved: Checkpoint,
    file: Path,
    model: Segmenter,
    optimizer: torch.optim.Optimizer,
    ema: Ema | None,
) -> None:
    """Put a checkpoint's weights into the model, the optimiser and the average, on their device.

    Raises:
        SeglibError: the weights belong to another model, or the optimiser's state is damaged.
    """
    try:
        model.load_state_dict(saved.model)
        if ema is not None and saved.ema is not None:
            ema.load(saved.ema)
    except (RuntimeError, ValueError) as error:
        first = " ".join(str(error).strip().splitlines()[:2])
        raise SeglibError(f"{file} was made with another model: {first}") from error
    try:
        restore_optimizer(saved.optimizer, model, optimizer)
    except SeglibError as error:
        raise SeglibError(f"{file} is damaged (optimizer: {error})") from error


def warn_of_changes(saved: Checkpoint, device: torch.device) -> None:
    """If the resumed run cannot be bit-identical to an uninterrupted one, log why."""
    before = settings_of(saved).device or "cpu"
    threads = torch.get_num_threads()
    if before != device.type:
        change = f"was on {before} and is now on {device.type}"
    elif saved.threads != threads and device.type == "cpu":
        change = f"had {saved.threads} threads and now has {threads}"
    else:
        return
    if distributed.rank() == 0:
        log.warning(
            f"the run {change}: it continues, but its last digits will differ from an "
            "uninterrupted run's"
        )
