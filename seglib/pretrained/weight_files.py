"""Read the weights in a .pth, .pkl or .safetensors file by name, without running code in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from seglib.errors import SeglibError, printable
from seglib.pretrained.pickle_vocabulary import Opaque, errors_about
from seglib.pretrained.plain_pickle import Array, read_plain_pickle
from seglib.pretrained.torch_file import MAGIC, TorchFile, Window, is_torch_file

# Keys under which training scripts save the weights, in order of preference; prefixes of wrappers.
_PLACES = ("model_ema", "model", "state_dict", "model_state_dict", "net", "module")
_WRAPPERS = ("module.", "_orig_mod.", "model.")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read the weights by name.

    Args:
        path: a .safetensors file, a .pkl file of arrays or a .pth file of tensors: a dict of
            weights, or what a training script saved, with the weights under "model", "state_dict"
            or similar. Prefixes such as "module." are removed from the names.

    Returns:
        the weights by name, floats as float32.

    Raises:
        SeglibError: the file is missing or damaged, or contains anything but weights; the message
            names it. No code in the file is run.
    """
    if not path.is_file():
        raise SeglibError(f"no file at {path}")
    if path.suffix == ".safetensors":
        return _safetensors(path)
    content, read_tensor = _open(path)
    weights = _find_weights(content, path)
    tensors = {}
    with errors_about(path):
        for name, value in weights.items():
            named = printable(str(name))
            tensors[named] = _tensor(path, named, value, read_tensor)
    return _without_wrapper(tensors)


def _safetensors(path: Path) -> dict[str, Tensor]:
    """The weights of a file that can contain nothing else."""
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise SeglibError(f"{path} is damaged or not a safetensors file ({error})") from error
    return {
        printable(name): value.float() if value.is_floating_point() else value
        for name, value in tensors.items()
    }


def _open(path: Path) -> tuple[Any, Callable[[Window], Tensor] | None]:
    """The content of the file, and a function that reads a `Window` of it."""
    try:
        with path.open("rb") as stream:
            start = stream.read(len(MAGIC))
        if is_torch_file(start):
            with errors_about(path):
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
            f"{path} is the state of a training run, for use with --resume: name the run's folder "
            f"instead, which contains {path.parent / 'model.safetensors'} once the run has finished"
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
        except TypeError as error:  # torch has no such dtype
            raise SeglibError(f"{path}: {name} is an array of {value.value.dtype}") from error
    else:
        kind = value.name if isinstance(value, Opaque) else type(value).__name__
        raise SeglibError(
            f"{path}: {name} is a {kind}, not a weight: save the weights alone, with "
            "torch.save(model.state_dict(), path) in the program that trained them"
        )
    return tensor.float() if tensor.is_floating_point() else tensor


def _without_wrapper(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights without the prefix that DataParallel and similar wrappers add to every name."""
    for prefix in _WRAPPERS:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_wrapper({n.removeprefix(prefix): t for n, t in tensors.items()})
    return tensors
