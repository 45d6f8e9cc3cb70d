"""Read the weights in a .pth or .pkl by name, without running any of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglib.errors import SeglibError, printable
from seglib.pretrained.pickle_machine import Opaque, told_of
from seglib.pretrained.plain_pickle import Array, read_plain_pickle
from seglib.pretrained.torch_file import MAGIC, TorchFile, Window, is_torch_file

# Where training scripts keep the weights, most trusted first; and what wrappers put before names.
_PLACES = ("model_ema", "model", "state_dict", "model_state_dict", "net", "module")
_WRAPPERS = ("module.", "_orig_mod.", "model.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The weights by name.

    Args:
        path: .pkl of arrays or .pth of tensors: a plain dict of weights, or what a training script
            saved, with the weights under "model", "state_dict" or the like. "module." and other
            wrappers' prefixes are taken off.

    Returns:
        as in the file, floats as float32.

    Raises:
        SeglibError: no such file, a damaged one, or one that holds anything else; the name at
            fault is told. Nothing in it has run.
    """
    if not path.is_file():
        raise SeglibError(f"no file at {path}")
    content, read_tensor = _open(path)
    weights = _find_weights(content, path)
    tensors = {}
    with told_of(path):
        for name, value in weights.items():
            named = printable(str(name))
            tensors[named] = _tensor(path, named, value, read_tensor)
    return _without_wrapper(tensors)


def _open(path: Path) -> tuple[Any, Callable[[Window], Tensor] | None]:
    """The file's content, and what reads a `Window` of it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(MAGIC))
        if is_torch_file(start):
            with told_of(path):
                file = TorchFile(path)
            return file.value, file.tensor
        if not start:
            raise SeglibError(f"{path} is damaged or not a file of weights (it is empty)")
        return read_plain_pickle(path.read_bytes(), path), None
    except OSError as error:
        raise SeglibError(f"cannot read {path}: {error.strerror or error}") from error


def _find_weights(content: Any, path: Path) -> Mapping[Any, Any]:
    if not isinstance(content, Mapping):
        raise SeglibError(f"{path} contains a {type(content).__name__}, not weights by name")
    if {"format", "step", "model", "optimizer", "history"} <= content.keys():
        raise SeglibError(
            f"{path} is the state of a training run, to go on with --resume. The trained model "
            f"is {path.parent / 'model.safetensors'}, once the run has finished: name the folder"
        )
    for place in _PLACES:
        inner = content.get(place)
        if isinstance(inner, Mapping) and any(_is_weight(value) for value in inner.values()):
            return inner
    return content


def _is_weight(value: Any) -> bool:
    return isinstance(value, Window | Array)


def _tensor(
    path: Path, name: str, value: Any, read_tensor: Callable[[Window], Tensor] | None
) -> Tensor:
    if isinstance(value, Window) and read_tensor is not None:
        tensor = read_tensor(value)
    elif isinstance(value, Array) and value.value is not None:
        try:
            tensor = torch.from_numpy(value.value)
        except TypeError as error:  # a kind of number that torch does not have
            raise SeglibError(f"{path}: {name} is an array of {value.value.dtype}") from error
    else:
        kind = value.name if isinstance(value, Opaque) else type(value).__name__
        raise SeglibError(
            f"{path}: {name} is a {kind}, not a weight: take the weights out, with "
            "torch.save(model.state_dict(), path) in the program that trained them"
        )
    return tensor.float() if tensor.is_floating_point() else tensor


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Names as the network has them, without what DataParallel and others put before each."""
    for prefix in _WRAPPERS:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_wrapper({n.removeprefix(prefix): t for n, t in tensors.items()})
    return tensors
