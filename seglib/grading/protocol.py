"""What the grader and a student's process say to each other: plain values, without pickle.

A message is one frame: the length of a JSON text (4 bytes), the JSON text, and then the bytes of
its arrays, one after another. The JSON text is {"body": …, "sizes": [bytes per array]}.

    None, True, 3, 0.5, "text"      as they are in JSON
    list, tuple, set, dict          {"kind": "list", "items": [...]}
    tensor, NumPy array             {"kind": "tensor", "dtype": "float32", "shape": [2, 3], ...}
    a layer of torch.nn             {"kind": "layer", ...}: its class, settings and parameters
    another function                {"kind": "function", "id": 7}: a call travels back
    anything else                   {"kind": "other", "type": "its class"}: only its name travels

Whoever reads checks everything: the sizes, the dtypes, and the number and depth of the items. So
a forged message can be wrong, but it cannot run code, and it cannot fill the reader's memory.
Functions and layers go only from the grader to the student.
"""

from __future__ import annotations

import inspect
import json
import math
import socket
import struct
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

LIMIT = 64 * 2**20  # bytes per message
TEXT_LIMIT = 4 * 2**20  # bytes of its JSON text
MAX_ITEMS = 200_000  # lists, numbers and arrays per message
MAX_DEPTH = 12
MAX_TEXT = 4_000  # characters of one text from a student
FLOATS = ("float16", "float32", "float64")
INTEGERS = ("uint8", "int8", "int16", "int32", "int64", "bool")
DTYPES = {name: getattr(torch, name) for name in ("bfloat16", *FLOATS, *INTEGERS)}
ARRAYS = {name: np.dtype(name) for name in (*FLOATS, *INTEGERS)}
LAYERS = {
    layer.__name__: layer
    for layer in (
        *(nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.Embedding),
        *(nn.BatchNorm1d, nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm),
        *(nn.ReLU, nn.GELU, nn.Identity, nn.MaxPool2d, nn.Dropout),
    )
}
Tree = Any  # what JSON can express


class ProtocolError(Exception):
    """A message that is malformed, too large, or not in its turn."""


class Other:
    """Stands for a value of a kind that does not travel; its class has the original's name."""


class Packer:
    """Turns values into a tree for JSON and a list of byte strings."""

    def __init__(self, refer: Callable[[Any], int] | None = None) -> None:
        """`refer` numbers the functions that may be called back; without it none travels."""
        self.buffers: list[bytes] = []
        self.states = False  # whether layers travel as their parameters, or by name only
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
            return self._function(value)
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

    def _function(self, value: Any) -> Tree:
        if type(value) is nn.Sequential:
            return {"kind": "layers", "items": [self.pack(layer) for layer in value]}
        if type(value).__name__ in LAYERS and type(value) is LAYERS[type(value).__name__]:
            names = set(inspect.signature(type(value).__init__).parameters) & set(vars(value))
            settings = {name: getattr(value, name) for name in sorted(names)}
            if hasattr(value, "bias") and not isinstance(value, nn.LayerNorm | nn.BatchNorm2d):
                settings["bias"] = value.bias is not None
            state = self.pack({name: item.detach() for name, item in value.state_dict().items()})
            name, training = type(value).__name__, value.training
            settings = self.pack(settings)
            return {"kind": "layer", "name": name, "settings": settings, "state": state} | {
                "training": training
            }
        if callable(value) and self._refer is not None:
            return {"kind": "function", "id": self._refer(value)}
        raise ProtocolError(f"a {type(value).__name__} cannot be given to a student's function")


class Unpacker:
    """Turns a tree and its byte strings back into values, and trusts neither."""

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


def valid_text(text: str, limit: int) -> str:
    """The beginning of a text, without halves of surrogate pairs, which no file can contain."""
    return text[:limit].encode("utf-8", "replace").decode()


def _known(table: dict[str, Any], name: Any) -> Any:
    if not isinstance(name, str) or name not in table:
        raise ProtocolError("an array has a dtype that does not travel")
    return table[name]


def _identifier(name: Any) -> str:
    """The name of a class, with nothing in it that could be markup."""
    text = "".join(c for c in str(name)[:60] if c.isascii() and (c.isalnum() or c in "_ "))
    return text or "object"


class Channel:
    """Sends and receives messages over a connected socket."""

    def __init__(self, connection: socket.socket, limit: int = LIMIT) -> None:
        self._connection, self._limit = connection, limit

    def send(self, body: Tree, buffers: list[bytes]) -> None:
        """Send one message.

        Raises:
            ProtocolError: it is larger than the limit.
            OSError: the other side is gone.
        """
        text = json.dumps({"body": body, "sizes": [len(data) for data in buffers]}).encode()
        if len(text) + sum(map(len, buffers)) > self._limit:
            raise ProtocolError(f"the message is larger than {self._limit // 2**20} MiB")
        self._connection.sendall(b"".join([struct.pack("!I", len(text)), text, *buffers]))

    def receive(self, seconds: float | None = None) -> tuple[Tree, list[bytes]]:
        """Receive one message, within so many seconds: its body and the bytes of its arrays.

        Raises:
            ProtocolError: it is malformed or larger than the limit.
            EOFError: the other side has closed the connection.
            TimeoutError: it has not arrived completely in time.
        """
        deadline = None if seconds is None else time.monotonic() + seconds
        (length,) = struct.unpack("!I", self._read(4, deadline))
        if length > TEXT_LIMIT:
            raise ProtocolError(f"its text is larger than {TEXT_LIMIT // 2**20} MiB")
        try:
            message = json.loads(self._read(length, deadline))
            body, sizes = message["body"], message["sizes"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ProtocolError("the message is not of the expected form") from error
        if not isinstance(sizes, list) or not all(type(n) is int and n >= 0 for n in sizes):
            raise ProtocolError("the message has no sizes")
        if length + sum(sizes) > self._limit or len(sizes) > MAX_ITEMS:
            raise ProtocolError(f"the message is larger than {self._limit // 2**20} MiB")
        return body, [self._read(size, deadline) for size in sizes]

    def _read(self, size: int, deadline: float | None) -> bytes:
        data = bytearray()
        while len(data) < size:
            if deadline is not None:
                self._connection.settimeout(max(deadline - time.monotonic(), 1e-3))
            part = self._connection.recv(min(size - len(data), 2**20))
            if not part:
                raise EOFError("the connection is closed")
            data += part
        return bytes(data)
