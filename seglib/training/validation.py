"""A validation in the middle of a run, which has no effect on the run."""

from __future__ import annotations

import math
from contextlib import nullcontext

from seglib.metrics.dataset import LabelledImages
from seglib.metrics.evaluate import evaluate
from seglib.models.base import Segmenter
from seglib.training.ema import Ema
from seglib.training.random_state import random_state_kept


def validate(
    model: Segmenter, ema: Ema | None, data: LabelledImages, limit: int | None
) -> dict[str, float]:
    """The figures that are defined on these images.

    Args:
        model: left in evaluation mode.
        ema: the model's averaged weights, evaluated in place of its own; None without averaging.
        data: images with targets.
        limit: use only the first `limit` images; None uses all.
    """
    with random_state_kept(), nullcontext() if ema is None else ema.averaged(model):
        model.eval()
        figures = evaluate(model, data, limit=limit).figures
    return {name: value for name, value in figures.items() if not math.isnan(value)}
