"""Read the weights in a .pth or .pkl by name, without running any of it."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.pretrained.plain_pickle import read_plain_pickle


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights by name, from a plain dict or from a training's one under "model".

    Args:
        path: .pkl of arrays, or .pth of tensors.

    Returns:
        as in the file, floats as float32.

    Raises:
        SeglibError: no such file, a damaged one, or one that holds anything else. Nothing in it
            has run.
    """
    content = _content(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        raise SeglibError(f"{path} holds a {type(content).__name__}, not weights by name")
    tensors = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value.copy())  # the file's bytes cannot be written to
        if not isinstance(value, Tensor):
            raise SeglibError(f"{path}: {name} is a {type(value).__name__}, not a weight")
        tensors[str(name)] = value.float() if value.is_floating_point() else value
    return tensors


def _content(path: Path) -> Any:
    if not path.is_file():
        raise SeglibError(f"no file at {path}")
    if path.suffix == ".pkl":
        return read_plain_pickle(path.read_bytes(), path)
    try:
        with warnings.catch_warnings():  # about pickles of other kinds, which are refused anyway
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # whose own words advise to run what is in the file
        raise SeglibError(
            f"{path} is damaged or holds more than weights: it is not read and nothing in it was "
            "run; do not trust it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        reason = str(error) or "it ends too early"
        raise SeglibError(f"{path} is damaged or no file of weights ({reason})") from error
