"""The last cell of a submission: answer the grader's calls of the student's functions.

This runs in the student's process, so nothing here is trusted, and nothing here is secret. A
request names a function and contains its arguments; the reply contains what it returned or the
error that it raised, and the arguments if the function changed them. Expected values, checks and
solutions are never sent.

    {"call": name, "arguments": …, "named": …, "seed": n}    call a function of the notebook
    {"gradient": n, "of": [...]}                             go backward through call n
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves

from seglib.grading.forbidden import refused
from seglib.grading.packing import Packer
from seglib.grading.protocol import CHANNEL, MAX_TEXT, Channel, ProtocolError
from seglib.grading.unpacking import Unpacker

Names = dict[str, Any]


def serve(names: Names) -> None:
    """Answer calls of the functions among these names until the grader closes the connection."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ[CHANNEL])
        server = Server(Channel(connection), names)
        try:
            while True:
                server.answer()
        except (EOFError, ConnectionError):
            return


class Server:
    """Answers requests, and keeps what is needed to go backward through earlier calls."""

    def __init__(self, channel: Channel, names: Names) -> None:
        self._channel, self._names = channel, names
        self._graphs: list[tuple[list[Tensor], list[Tensor]]] = []  # inputs and outputs of calls

    def answer(self) -> None:
        """Receive one request and reply."""
        body, buffers = self._channel.receive()
        packer = Packer()
        try:
            if "call" in body:
                reply = self._call(body, buffers, packer)
            else:
                reply = {"value": packer.pack(self._gradient(body, buffers))}
        except (Exception, SystemExit) as error:
            packer = Packer()
            reply = {"error": type(error).__name__, "message": str(error)[:MAX_TEXT]}
        try:
            self._channel.send(reply, packer.buffers)
        except ProtocolError as error:
            self._channel.send({"error": "ProtocolError", "message": str(error)}, [])

    def _call(self, body: Any, buffers: list[bytes], packer: Packer) -> dict[str, Any]:
        name = body["call"]
        if name not in self._names:
            raise NameError(f"name '{name}' is not defined")
        unpacker = Unpacker(buffers, self._function)
        arguments, named = unpacker.unpack(body["arguments"]), unpacker.unpack(body["named"])
        inputs = [v for v in tree_leaves((arguments, named)) if isinstance(v, Tensor)]
        inputs = [value for value in inputs if value.requires_grad]
        before = _snapshot((arguments, named))
        torch.manual_seed(body["seed"])
        with refused(name), torch.set_grad_enabled(body["grad"]):
            value = self._names[name](*arguments, **named)
        reply = {"value": packer.pack(value)}
        if _snapshot((arguments, named)) != before:
            packer.states = True
            reply["changed"] = packer.pack([arguments, named])
        outputs = [v for v in tree_flatten(value)[0] if isinstance(v, Tensor) and v.requires_grad]
        if inputs and outputs:
            self._graphs.append((inputs, outputs))
            reply["graph"] = len(self._graphs) - 1
        return reply

    def _gradient(self, body: Any, buffers: list[bytes]) -> list[Tensor | None]:
        inputs, outputs = self._graphs[body["gradient"]]
        weights = Unpacker(buffers, self._function).unpack(body["of"])
        return list(
            torch.autograd.grad(outputs, inputs, weights, retain_graph=True, allow_unused=True)
        )

    def _function(self, number: int) -> Callable[..., Any]:
        """A stub for one of the grader's functions, which is called in the grader's process."""

        def call_back(*arguments: Any, **named: Any) -> Any:
            packer = Packer()
            body = {"back": number, "arguments": packer.pack(list(arguments))}
            self._channel.send(body | {"named": packer.pack(named)}, packer.buffers)
            reply, buffers = self._channel.receive()
            if "error" in reply:
                raise RuntimeError(reply["message"])
            return Unpacker(buffers, self._function).unpack(reply["value"])

        return call_back


def _snapshot(value: Any) -> tuple[Any, list[bytes]]:
    """The message that this value would give, to detect changes of it."""
    packer = Packer()
    packer.states = True
    return packer.pack(value), packer.buffers
