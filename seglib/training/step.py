"""One step of training, the same for every paradigm: every model computes its own losses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from seglib import distributed
from seglib.devices import autocast
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.structures import Target

# The message of torch's batch norm if a channel has a single value and so no variance.
_LONE_VALUE = "more than 1 value per channel"


class NotFiniteError(SeglibError):
    """A loss or the gradient is infinite or not a number."""


def train_step(
    model: Segmenter,
    images: Sequence[Tensor],
    targets: Sequence[Target],
    optimizer: torch.optim.Optimizer,
    *,
    clip: float = 0.0,
    precision: str = "fp32",
) -> dict[str, float]:
    """Move the weights one step against the gradient of the summed losses.

    Args:
        model: its weights change; it is left in training mode.
        images: float [3, H, W] each, in 0…1.
        targets: one per image.
        optimizer: the optimiser of the model's parameters.
        clip: largest norm of the gradient of all weights together; 0 turns clipping off.
        precision: "bf16" runs the forward pass under autocast; "fp32" does not.

    Returns:
        the named losses before the step, averaged over all processes.

    Raises:
        NotFiniteError: a loss or the gradient is not finite; the weights are not changed.
        SeglibError: the images are too small for batch norm.
    """
    model.train()
    optimizer.zero_grad()
    with autocast(next(model.parameters()).device, precision):
        losses = compute_losses(model, images, targets)
        total = torch.stack(list(losses.values())).sum()
    total.backward()
    distributed.average_gradients(model.parameters())
    norm = nn.utils.clip_grad_norm_(model.parameters(), clip or math.inf)
    values = _averaged(losses)
    _refuse_nonfinite(values, float(norm), targets)
    optimizer.step()
    return values


def compute_losses(
    model: Segmenter, images: Sequence[Tensor], targets: Sequence[Target]
) -> dict[str, Tensor]:
    """The named losses of a model in training mode.

    Raises:
        SeglibError: batch norm finds a single value per channel in its coarsest map.
    """
    try:
        return model.loss(images, targets)
    except ValueError as error:
        if _LONE_VALUE not in str(error):
            raise
        height, width = images[0].shape[-2:]
        raise SeglibError(
            f"a batch of {len(images)} image(s) of {width} x {height} px leaves batch norm one "
            "value per channel in the coarsest map: train with a larger --size or --batch-size"
        ) from error


def _averaged(losses: dict[str, Tensor]) -> dict[str, float]:
    """The losses as numbers, each averaged over all processes."""
    values = torch.stack([loss.detach().float() for loss in losses.values()])  # [L]
    return dict(zip(losses, distributed.average(values).tolist(), strict=True))


def _refuse_nonfinite(values: dict[str, float], norm: float, targets: Sequence[Target]) -> None:
    faults = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if not faults and math.isfinite(norm):
        return
    shares = distributed.gather([target.image_id for target in targets])
    ids = ", ".join(str(image_id) for share in shares for image_id in share)
    raise NotFiniteError(f"{', '.join(faults) or 'the gradient is not finite'} on images {ids}")
