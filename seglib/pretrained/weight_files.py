"""Read the weights in a .pth or .pkl file by name, without running any code in it."""

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
    """Read a dict of weights, at the top level or, in a training checkpoint, under "model".

    Args:
        path: a .pkl file of arrays or a .pth file of tensors.

    Returns:
        the weights by name, floats as float32.

    Raises:
        SeglibError: the file is missing or damaged, or contains anything but weights. No code in
            it is run.
    """
    content = _content(path)
    if isinstance(content, Mapping) and isinstance(content.get("model"), Mapping):
        content = content["model"]
    if not isinstance(content, Mapping):
        raise SeglibError(f"{path} contains a {type(content).__name__}, not weights by name")
    tensors = {}
    for name, value in content.items():
        if isinstance(value, np.ndarray):
            value = torch.from_numpy(value.copy())  # the array is a read-only view of the file
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
        with warnings.catch_warnings():  # about other kinds of pickle, which are refused anyway
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:  # its own message suggests running the file
        raise SeglibError(
            f"{path} is damaged or contains more than weights: it was not read and no code in it "
            "was run; do not trust it"
        ) from error
    except (RuntimeError, EOFError, OSError, ValueError, LookupError) as error:
        reason = str(error) or "it ends too early"
        raise SeglibError(f"{path} is damaged or not a file of weights ({reason})") from error
