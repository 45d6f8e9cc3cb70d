"""Measure a model's file: whether it can be loaded, and whether it has been trained."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from seglib import pretrained
from seglib.doctor.symptoms import WeightSymptoms
from seglib.errors import SeglibError
from seglib.models.base import Segmenter

MODEL_NAME = "model.safetensors"


def weight_symptoms(
    name: str, wanted: str | None = None
) -> tuple[WeightSymptoms, Segmenter | None]:
    """Load a model and compare it with a new one.

    Args:
        name: as for `pretrained.load`.
        wanted: the paradigm that the run's settings name.

    Returns:
        what was measured, and the model; None if it cannot be loaded.
    """
    try:
        model = pretrained.load(name)
    except SeglibError as error:
        is_missing = Path(name).is_dir() and not (Path(name) / MODEL_NAME).is_file()
        return WeightSymptoms(fault=str(error), is_missing=is_missing, wanted=wanted), None
    now, start = model.state_dict(), _new(model).state_dict()
    vectors = [key for key, _ in model.named_parameters() if now[key].ndim == 1]
    same = [key for key in vectors if torch.equal(now[key], start[key])]
    return WeightSymptoms(
        model=model.name,
        wanted=wanted,
        categories=model.categories,
        trained_on=_trained_on(name),
        vectors=len(vectors),
        as_at_start=len(same),
        dead=[key for key in now if _is_zero(now[key]) and not _is_zero(start[key])],
        image_size=model.config.image_size,
    ), model


def _new(model: Segmenter) -> Segmenter:
    """A model of the same configuration with random weights."""
    return type(model)(model.config, model.categories)


def _is_zero(value: Tensor) -> bool:
    return value.ndim > 1 and not bool(value.any())


def _trained_on(name: str) -> str:
    """The name of the training data that the file states, as a run or a shipped file; or ""."""
    if pretrained.is_official(pretrained.find(name)):
        return ""
    notes = pretrained.header(name).notes
    data = notes.get("data")
    return str(data.get("name", "") if isinstance(data, dict) else notes.get("dataset", ""))
