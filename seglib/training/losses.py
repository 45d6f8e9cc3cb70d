"""A model's losses on a batch, for everything that trains."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.structures import Target

# How torch's batch norm says that it has nothing to take a variance of.
_LONE_VALUE = "more than 1 value per channel"


def compute_losses(
    model: Segmenter, images: Sequence[Tensor], targets: Sequence[Target]
) -> dict[str, Tensor]:
    """The model's named losses.

    Args:
        model: in training mode.
        images: float [3, H, W] each, in 0…1.
        targets: theirs.

    Raises:
        SeglibError: batch norm finds a single value a channel in its coarsest map.
    """
    try:
        return model.loss(images, targets)
    except ValueError as error:
        if _LONE_VALUE not in str(error):
            raise
        height, width = images[0].shape[-2:]
        raise SeglibError(
            f"a batch of {len(images)} image(s) of {width} x {height} px leaves batch norm one "
            "value a channel in the coarsest map: train with a larger --size or --batch-size"
        ) from error
