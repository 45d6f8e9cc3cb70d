"""Trained models: shipped checkpoints, runs of your own, and weights that others published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from seglib.devices import find_device
from seglib.errors import SeglibError
from seglib.models.base import Segmenter
from seglib.pretrained.curves import learning_curves
from seglib.pretrained.files import Header, build, is_foreign, read, save
from seglib.pretrained.published import PUBLISHED
from seglib.pretrained.rehead import copy_matching, rehead
from seglib.pretrained.shipped import (
    shipped_file,
    shipped_models,
    shipped_names,
    shipped_record,
)
from seglib.structures import Categories

OFFICIAL = (".pth", ".pt", ".pkl")

__all__ = [
    "Header",
    "copy_matching",
    "find",
    "header",
    "learning_curves",
    "load",
    "record",
    "rehead",
    "save",
    "shipped_models",
    "shipped_names",
    "trained_on",
]


def load(
    name_or_path: str | Path,
    categories: Categories | None = None,
    *,
    device: str | torch.device = "cpu",
) -> Segmenter:
    """Build a trained model.

    Args:
        name_or_path: a shipped checkpoint ("fcn", "fcn-16s", …), the folder of a training run, a
            .safetensors file, a .pth, .pkl or .safetensors file of weights that others published
            (see `load_official`), or the name of such weights that `seglib weights NAME` has
            fetched.
        categories: give the model these classes instead of its own (see `rehead`).
        device: where the model computes: "cpu", "cuda", "mps", or "auto", which prefers a GPU.

    Returns:
        the model in evaluation mode.

    Raises:
        SeglibError: an unknown name, a missing or damaged file, weights that do not fit, or a
            device that is not there.
    """
    place = find_device(device)
    path = find(name_or_path)
    model = _official(path) if is_official(path) else _own(path)
    if categories is not None:
        model = rehead(model, categories)
    return model.to(place).eval()


def is_official(path: Path) -> bool:
    """Whether a file is not one that seglib wrote, by its ending or its header."""
    return path.suffix in OFFICIAL or (path.suffix == ".safetensors" and is_foreign(path))


def _official(path: Path) -> Segmenter:
    from seglib.pretrained.official import load_official

    return load_official(path)


def _own(path: Path) -> Segmenter:
    from seglib.models import MODELS

    described, tensors = read(path)
    if described.model not in MODELS:
        raise SeglibError(
            f"{path} contains a model {described.model!r}, which seglib does not know"
        )
    kind = MODELS[described.model]
    return build(
        kind,
        lambda: kind.config_class.from_dict(described.config),
        described.categories,
        tensors,
        path,
    )


def header(name_or_path: str | Path) -> Header:
    """The header of a model file: configuration, categories, command, figures."""
    return read(find(name_or_path))[0]


def trained_on(path: Path) -> str | None:
    """The data set that a model's file was trained on; None for official weights."""
    if is_official(path):
        return None
    notes = read(path)[0].notes
    if "dataset" in notes:  # a shipped checkpoint
        return str(notes["dataset"])
    data = notes.get("data")
    return str(data["name"]) if isinstance(data, dict) and "name" in data else None


def record(name: str) -> dict[str, Any]:
    """How a shipped checkpoint was made.

    Returns:
        command, minutes, parameters, figures and per_class (on the validation split), ceilings,
        and history, for `seglib.training.History.from_dict`.
    """
    content: dict[str, Any] = json.loads(shipped_record(name).read_text(encoding="utf-8"))
    return content


def find(name_or_path: str | Path) -> Path:
    """The file that a name or path means; for a run's folder, its model.safetensors.

    Published weights are looked up in the cache, into which `seglib weights NAME` puts them.
    """
    path = Path(name_or_path)
    if path.is_dir():
        if not (path / "model.safetensors").is_file():
            raise SeglibError(f"{path} has no model.safetensors: has its training finished?")
        return path / "model.safetensors"
    if path.is_file() or path.suffix in (".safetensors", *OFFICIAL) or len(path.parts) > 1:
        return path
    if name_or_path in PUBLISHED:
        from seglib.pretrained.published_files import cached_file

        return cached_file(str(name_or_path))
    return shipped_file(str(name_or_path))
