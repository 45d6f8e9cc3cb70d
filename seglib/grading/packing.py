"""Turn plain values into a message's JSON tree and the bytes of its arrays."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seglib.grading.protocol import ARRAYS, DTYPES, LAYERS, ProtocolError, Tree


class Packer:
    """Turns values into a tree for JSON and a list of byte strings."""

    def __init__(self, refer: Callable[[Any], int] | None = None) -> None:
        """`refer` numbers the functions that may be called back; without it, none is sent."""
        self.buffers: list[bytes] = []
        self.states = False  # whether layers are sent as their parameters, or by name only
        self._refer = refer

    def pack(self, value: Any) -> Tree:
        """The tree of one value; the bytes of its arrays are added to `buffers`."""
        if value is None or type(value) in (bool, int, float, str):
            return value
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        if isinstance(value, dict):
            items = [[self.pack(key), self.pack(item)] for key, item in value.items()]
            return {"kind": "dict", "items": items}
        for kind in (list, tuple, set):
            if isinstance(value, kind):
                return {"kind": kind.__name__, "items": [self.pack(item) for item in value]}
        if isinstance(value, torch.dtype):
            return {"kind": "dtype", "name": str(value).removeprefix("torch.")}
        if isinstance(value, torch.Generator):
            return {"kind": "generator", "state": self.pack(value.get_state())}
        if self._refer is not None:
            return self._layer_or_function(value, self._refer)
        if self.states and isinstance(value, nn.Module):
            return self.pack(dict(value.state_dict()))
        return {"kind": "other", "type": type(value).__name__}

    def _tensor(self, value: Tensor) -> Tree:
        plain = value.detach().as_subclass(Tensor).cpu().contiguous()
        name = str(plain.dtype).removeprefix("torch.")
        if name not in DTYPES:
            return {"kind": "other", "type": f"{name} tensor"}
        flat = plain.reshape(-1)
        data = flat.view(torch.uint8) if flat.numel() else flat.to(torch.uint8)
        tree = self._bytes("tensor", name, plain.shape, data.numpy().tobytes())
        return {**tree, "grad": value.requires_grad}

    def _array(self, value: np.ndarray | np.generic) -> Tree:
        if value.dtype.name not in ARRAYS:
            return {"kind": "other", "type": f"{value.dtype} array"}
        kind = "array" if isinstance(value, np.ndarray) else "scalar"
        data = np.ascontiguousarray(value).astype(value.dtype.newbyteorder("="))
        return self._bytes(kind, value.dtype.name, value.shape, data.tobytes())

    def _bytes(self, kind: str, dtype: str, shape: Any, data: bytes) -> Tree:
        self.buffers.append(data)
        shape = [int(side) for side in shape]
        return {"kind": kind, "dtype": dtype, "shape": shape, "buffer": len(self.buffers) - 1}

    def _layer_or_function(self, value: Any, refer: Callable[[Any], int]) -> Tree:
        if type(value) is nn.Sequential:
            return {"kind": "layers", "items": [self.pack(layer) for layer in value]}
        if type(value) is LAYERS.get(type(value).__name__):
            return self._layer(value)
        if callable(value):
            return {"kind": "function", "id": refer(value)}
        raise ProtocolError(f"a {type(value).__name__} cannot be given to a student's function")

    def _layer(self, layer: nn.Module) -> Tree:
        """The class, the arguments of its constructor, and the parameters of a layer."""
        names = set(inspect.signature(type(layer).__init__).parameters) & set(vars(layer))
        settings = {name: getattr(layer, name) for name in sorted(names)}
        if hasattr(layer, "bias") and not isinstance(layer, nn.LayerNorm | nn.BatchNorm2d):
            settings["bias"] = layer.bias is not None
        state = {name: item.detach() for name, item in layer.state_dict().items()}
        return {
            "kind": "layer",
            "name": type(layer).__name__,
            "settings": self.pack(settings),
            "state": self.pack(state),
            "training": layer.training,
        }
