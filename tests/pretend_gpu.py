"""A GPU that is not there: tensors that report another device and compute on the CPU.

With it, tests of device handling need no GPU. Factories obey their device argument, an operation
that mixes devices fails as it would on a GPU, and results equal the CPU's bit for bit. (torch's
own FakeTensorMode computes no values, so no model that samples, sorts or suppresses runs in it.)

The device is called "lazy": for "cuda", torch's backward pass would ask for a driver.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("lazy")
# Operations that may take tensors of two devices: copies, and indices on the CPU.
_COPIES = {"aten::copy_", "aten::_to_copy"}
_INDEXING = {"aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"}
# Operations for which even a scalar must be on the same device as the others.
_STRICT = {"aten::cat", "aten::stack"}

_tensor, _autocast = torch.tensor, torch.autocast


class OnGpu(Tensor):
    """A tensor on the pretended GPU.

    Attributes:
        on_cpu: its values.
    """

    on_cpu: Tensor

    @staticmethod
    def __new__(cls, values: Tensor) -> OnGpu:
        made: OnGpu = torch.Tensor._make_wrapper_subclass(
            cls,
            values.size(),
            strides=values.stride(),
            storage_offset=values.storage_offset(),
            dtype=values.dtype,
            device=DEVICE,
        )
        made.on_cpu = values
        return made

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None) -> Any:
        return _run(function, args, kwargs or {})

    def tolist(self) -> Any:
        """Its values, as a GPU's tensor gives them."""
        return self.on_cpu.tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Refused, as a GPU's tensor does."""
        raise TypeError("a tensor on a GPU has no NumPy array: call .cpu() first")


class _Everywhere(TorchDispatchMode):
    """Also sees operations without a tensor: factories with a device argument."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None) -> Any:
        return _run(function, args, kwargs or {})


def _run(function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Run an operation on the CPU, and put its results where the real one would have them."""
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    moved = {id(t.on_cpu): t for t in tensors if isinstance(t, OnGpu)}
    if moved:
        _refuse_mixture(function._schema.name, args, tensors)
    wanted = kwargs.get("device")
    if wanted is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    result = function(*tree_map(_values, args), **tree_map(_values, kwargs))
    on_gpu = bool(moved) if wanted is None else torch.device(wanted) == DEVICE
    if not on_gpu:
        return result

    def placed(x: Any) -> Any:
        if not isinstance(x, Tensor):
            return x
        return moved[id(x)] if id(x) in moved else OnGpu(x)  # an operation in place, or another

    return tree_map(placed, result)


def _values(x: Any) -> Any:
    return x.on_cpu if isinstance(x, OnGpu) else x


def _refuse_mixture(name: str, args: Sequence[Any], tensors: list[Tensor]) -> None:
    if name in _COPIES:
        return
    if name in _INDEXING and isinstance(args[0], OnGpu):  # without the indices, args[1]
        tensors = [x for x in (args[0], *args[2:]) if isinstance(x, Tensor)]
    others = [t for t in tensors if not isinstance(t, OnGpu) and (name in _STRICT or t.ndim > 0)]
    if others:
        shapes = ", ".join(str(list(t.shape)) for t in others)
        raise RuntimeError(f"{name} mixes devices: of its tensors, {shapes} lie on the CPU")


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """Offer the device for a `with` block."""

    def tensor(data: Any, *, dtype=None, device=None, requires_grad=False) -> Tensor:
        made = _tensor(data, dtype=dtype)
        return (made if device is None else made.to(device)).requires_grad_(requires_grad)

    def new_tensor(like: Tensor, data: Any, dtype=None, device=None) -> Tensor:
        return _tensor(data, dtype=dtype or like.dtype).to(device or like.device)

    def autocast(device: str, *args: Any, **kwargs: Any) -> Any:
        return _autocast("cpu" if device == DEVICE.type else device, *args, **kwargs)

    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)
    try:
        with (
            patch("torch.tensor", tensor),
            patch("torch.Tensor.new_tensor", new_tensor),
            patch("torch.autocast", autocast),
            _Everywhere(),
        ):
            yield DEVICE
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)
