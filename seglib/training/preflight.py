"""Checks before the first step, so that no run trains for hours in vain."""

from __future__ import annotations

import os

from seglib import distributed
from seglib.data.loading import Samples
from seglib.errors import SeglibError
from seglib.models.base import Segmenter

GIBIBYTE = 1 << 30


def check_learnable(model: Segmenter, source: Samples, data: Samples) -> None:
    """Refuse data from which the model can learn nothing.

    Args:
        model: the model to be trained.
        source: read until the first target to learn from, which is usually the very first one.
        data: the same samples as a data set, for its name and notes.

    Raises:
        SeglibError: there is no such target; the message says what the model needs.
    """
    if any(model.can_learn_from(source[index][1]) for index in range(len(source))):
        return
    wanted = {
        True: "a pixel of a category",
        False: "an object that is not a crowd and large enough for the model's rules",
    }[model.tasks == ("semantic",)]
    notes = "".join(f"; {note}" for note in getattr(data, "notes", ()))
    raise SeglibError(
        f"{model.name} can learn nothing from {getattr(data, 'name', 'this data set')}: none of "
        f"its {len(source)} images has {wanted}{notes}; `seglib data check` says more"
    )


def check_batch_fits(source: Samples, batch_size: int) -> None:
    """Refuse a batch whose images alone are larger than this machine's memory.

    Raises:
        SeglibError: the batch is too large; the message states both sizes.
    """
    memory = _memory()
    image = source[0][0]
    needed = image.nbytes * (batch_size // distributed.world_size())
    if memory is not None and needed > memory:
        height, width = image.shape[-2:]
        raise SeglibError(
            f"batch_size={batch_size}: that many images of {width} x {height} px take "
            f"{needed / GIBIBYTE:.3g} GiB, and this machine has {memory / GIBIBYTE:.3g} GiB of "
            "memory: choose a smaller one"
        )


def _memory() -> int | None:
    """Bytes of this machine's memory; None if the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return None
