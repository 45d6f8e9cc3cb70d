"""Turn a message's JSON tree and bytes back into values without trusting either.

Everything is checked here: the dtypes and shapes, the sizes, and the number and depth of the items.
So a forged message can be wrong, but it cannot run code, and it cannot fill the reader's memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from seglib.grading.protocol import (
    ARRAYS,
    DTYPES,
    LAYERS,
    MAX_DEPTH,
    MAX_ITEMS,
    MAX_TEXT,
    ProtocolError,
    Tree,
    valid_text,
)


class Other:
    """Stands for a value of a kind that does not travel; its class has the original's name."""


class Unpacker:
    """Turns a tree and its byte strings back into values without trusting either."""

    def __init__(
        self, buffers: list[bytes], call_back: Callable[[int], Callable[..., Any]] | None = None
    ) -> None:
        """`call_back` makes the function for an id; without it functions and layers are refused."""
        self._buffers = buffers
        self._call_back = call_back
        self._items = 0

    def unpack(self, tree: Tree, depth: int = 0) -> Any:
        """The value of a tree.

        Raises:
            ProtocolError: it is malformed, too deep or too long.
        """
        self._items += 1
        if depth > MAX_DEPTH or self._items > MAX_ITEMS:
            raise ProtocolError("the value is nested too deeply or has too many items")
        if isinstance(tree, str):
            return valid_text(tree, MAX_TEXT)
        if tree is None or type(tree) in (bool, int, float):
            return tree
        if not isinstance(tree, dict):
            raise ProtocolError("the value has no kind")
        kind = tree.get("kind")
        if kind in ("list", "tuple", "set", "dict"):
            return self._container(kind, tree.get("items"), depth + 1)
        if kind in ("tensor", "array", "scalar"):
            return self._numbers(kind, tree)
        if kind == "dtype":
            return _known(DTYPES, tree.get("name"))
        if kind == "generator":
            return self._generator(tree, depth)
        if kind == "other":
            return type(_identifier(tree.get("type")), (Other,), {})()
        if self._call_back is not None:
            return self._function(tree, depth)
        raise ProtocolError(f"the value has the kind {str(kind)[:40]!r}")

    def _container(self, kind: str, items: Tree, depth: int) -> Any:
        if not isinstance(items, list):
            raise ProtocolError(f"a {kind} has no items")
        try:
            if kind == "dict":
                return {self.unpack(k, depth): self.unpack(v, depth) for k, v in items}
            values = [self.unpack(item, depth) for item in items]
            return {"list": list, "tuple": tuple, "set": set}[kind](values)
        except (TypeError, ValueError) as error:
            raise ProtocolError(f"a {kind} has items that it cannot have") from error

    def _numbers(self, kind: str, tree: Tree) -> Any:
        dtypes: dict[str, Any] = DTYPES if kind == "tensor" else ARRAYS
        dtype = _known(dtypes, tree.get("dtype"))
        shape, index = tree.get("shape"), tree.get("buffer")
        if type(index) is not int or not 0 <= index < len(self._buffers):
            raise ProtocolError("an array has no bytes")
        if not isinstance(shape, list) or len(shape) > MAX_DEPTH:
            raise ProtocolError("an array has no shape")
        if not all(type(side) is int and 0 <= side < 2**40 for side in shape):
            raise ProtocolError("an array has a shape that is not made of sizes")
        data = self._buffers[index]
        if math.prod(shape) * dtype.itemsize != len(data):
            raise ProtocolError("the bytes of an array do not fit its shape")
        if tree.get("dtype") == "bool":  # any other byte than 0 and 1 is not a bool
            data = (np.frombuffer(data, np.uint8) != 0).tobytes()
        if kind != "tensor":
            array = np.frombuffer(bytearray(data), dtype).reshape(shape)
            return array if kind == "array" else array.reshape(-1)[0]
        flat = torch.frombuffer(bytearray(data), dtype=dtype) if data else torch.empty(0).to(dtype)
        value = flat.reshape(shape)
        return value.requires_grad_() if tree.get("grad") and dtype.is_floating_point else value

    def _generator(self, tree: Tree, depth: int) -> torch.Generator:
        generator = torch.Generator()
        if self._call_back is not None:  # a student's state is not taken over
            generator.set_state(self.unpack(tree["state"], depth + 1))
        return generator

    def _function(self, tree: Tree, depth: int) -> Any:
        assert self._call_back is not None
        if tree["kind"] == "function":
            return self._call_back(tree["id"])
        if tree["kind"] == "layers":
            return nn.Sequential(*(self.unpack(item, depth + 1) for item in tree["items"]))
        layer = LAYERS[tree["name"]](**self.unpack(tree["settings"], depth + 1))
        layer.load_state_dict(self.unpack(tree["state"], depth + 1))
        return layer.train(tree["training"])


def _known(table: dict[str, Any], name: Any) -> Any:
    if not isinstance(name, str) or name not in table:
        raise ProtocolError("an array has a dtype that does not travel")
    return table[name]


def _identifier(name: Any) -> str:
    """The name of a class, with nothing in it that could be markup."""
    text = "".join(c for c in str(name)[:60] if c.isascii() and (c.isalnum() or c in "_ "))
    return text or "object"
