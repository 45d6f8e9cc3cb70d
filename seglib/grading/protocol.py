"""The messages between the grader and a student's process: plain values, without pickle.

A message is one frame: the length of a JSON text (4 bytes), the JSON text, and then the bytes of
its arrays, one after another. The JSON text is {"body": …, "sizes": [bytes per array]}.

    None, True, 3, 0.5, "text"      as they are in JSON
    list, tuple, set, dict          {"kind": "list", "items": [...]}
    tensor, NumPy array             {"kind": "tensor", "dtype": "float32", "shape": [2, 3], ...}
    a layer of torch.nn             {"kind": "layer", ...}: its class, settings and parameters
    another function                {"kind": "function", "id": 7}: a call travels back
    anything else                   {"kind": "other", "type": "its class"}: only its name travels

`packing` makes these trees, and `unpacking` reads and checks them. Functions and layers go only
from the grader to the student.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

import numpy as np
import torch
from torch import nn

CHANNEL = "SEGLIB_CHANNEL"  # the environment variable with the path of the grader's socket
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
    """A message that is malformed, too large, or out of turn."""


def valid_text(text: str, limit: int) -> str:
    """The beginning of a text, without halves of surrogate pairs, which no file can contain."""
    return text[:limit].encode("utf-8", "replace").decode()


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
