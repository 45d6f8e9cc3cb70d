"""The student's functions, as the grader calls them: each call travels to the student's process.

`RemoteFunction` stands in a checks cell where the student's function would stand. Its arguments
are sent as plain values; what comes back is checked and decoded here. Gradients go backward
through the student's process too, arguments that the function changed in place change here as
well, and functions among the arguments are called here when the student's function calls them.
"""

from __future__ import annotations

import builtins
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seglib.grading.packing import Packer
from seglib.grading.protocol import Channel, ProtocolError, valid_text
from seglib.grading.unpacking import Unpacker

CALL_SECONDS = 40.0  # for one call of a student's function
MAX_NAME, MAX_MESSAGE = 80, 1_000  # characters of an error's class and message
MAX_BACK = 10_000  # calls of the grader's functions during one call


class StudentError(Exception):
    """Marks an error that a student's function raised, whatever its class."""


class GoneError(Exception):
    """The student's process has ended, hangs, or violates the protocol."""


class Student:
    """The student's process, over a connected socket.

    Attributes:
        forbidden: the forbidden functions that the student's functions called.
        gone: why the process can no longer be called, or "".
        seconds: time spent waiting for the student's functions.
    """

    def __init__(self, connection: socket.socket, call_seconds: float = CALL_SECONDS) -> None:
        self.forbidden: set[str] = set()
        self.gone = ""
        self.seconds = 0.0
        self.running = ""
        self._channel, self._call_seconds = Channel(connection), call_seconds
        self._functions: list[Callable[..., Any]] = []

    def call(self, name: str, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Call the student's function with these arguments and return its result.

        Raises:
            Exception: the error that the function raised, also a `StudentError`.
            GoneError: the process has ended or hangs.
        """
        packer = Packer(self._refer)
        inputs = [list(arguments), named]
        request = {"call": name, "arguments": packer.pack(inputs[0]), "named": packer.pack(named)}
        request |= {"seed": torch.initial_seed() % 2**32, "grad": torch.is_grad_enabled()}
        self.running = name
        reply, unpacker = self._exchange(request, packer.buffers)
        value = self._decoded(unpacker, reply.get("value"))
        if "changed" in reply:
            _copy_into(inputs, self._decoded(unpacker, reply["changed"]))
        needed = [v for v in tree_leaves(inputs) if isinstance(v, Tensor) and v.requires_grad]
        if needed and type(reply.get("graph")) is int and torch.is_grad_enabled():
            return self._differentiable(value, needed, reply["graph"])
        return tree_map(_as_result, value)

    def _differentiable(self, value: Any, inputs: list[Tensor], graph: int) -> Any:
        """The value, with gradients that the student's process computes."""
        results = [v for v in tree_leaves(value) if isinstance(v, Tensor) and v.requires_grad]
        if not results:
            return value
        linked = iter(_Backward.apply(self, graph, results, *inputs))
        return tree_map(
            lambda v: next(linked) if isinstance(v, Tensor) and v.requires_grad else v, value
        )

    def gradients(self, graph: int, output_gradients: Iterable[Tensor]) -> list[Tensor | None]:
        """The gradients of a call's inputs, given those of its outputs."""
        packer = Packer()
        request = {"gradient": graph, "of": packer.pack(list(output_gradients))}
        reply, unpacker = self._exchange(request, packer.buffers)
        value = self._decoded(unpacker, reply.get("value"))
        return value if isinstance(value, list) else []

    def _exchange(self, request: Any, buffers: list[bytes]) -> tuple[dict[str, Any], Unpacker]:
        """Send a request and wait for the reply; the student may call functions meanwhile."""
        if self.gone:
            raise GoneError(self.gone)
        start = time.monotonic()
        try:
            self._channel.send(request, buffers)
            for _ in range(MAX_BACK):
                left = self._call_seconds - (time.monotonic() - start)
                reply, data = self._channel.receive(max(left, 1e-3))
                if not isinstance(reply, dict):
                    raise ProtocolError("the reply is not of the expected form")
                if "back" not in reply:
                    break
                self._call_back(reply, data)
            else:
                raise ProtocolError("too many calls of the functions that it was given")
        except TimeoutError:
            self._give_up(f"{self.running} did not return within {self._call_seconds:.0f} s")
        except (EOFError, OSError):
            self._give_up(f"the notebook's process ended while {self.running} ran")
        except ProtocolError as error:
            self._give_up(f"{self.running}: {error}")
        finally:
            self.seconds += time.monotonic() - start
        if "error" in reply:
            message = valid_text(str(reply.get("message")), MAX_MESSAGE)
            raise self._error(valid_text(str(reply["error"]), MAX_NAME), message)
        return reply, Unpacker(data)

    def _give_up(self, reason: str) -> None:
        self.gone = reason
        raise GoneError(reason)

    def _error(self, kind: str, message: str) -> Exception:
        """The student's error, of the same class if that is one of Python's own."""
        if kind == "ForbiddenError":
            self.forbidden.add(message)
        base = getattr(builtins, kind, RuntimeError)
        fits = isinstance(base, type) and issubclass(base, Exception)
        fits = fits and not issubclass(base, UnicodeError | BaseExceptionGroup | AssertionError)
        bases = (StudentError, base if fits else RuntimeError)
        name = kind if kind.isidentifier() and kind.isascii() else "RuntimeError"
        return type(name, bases, {})(message)

    def _decoded(self, unpacker: Unpacker, tree: Any) -> Any:
        try:
            return unpacker.unpack(tree)
        except (ProtocolError, RecursionError) as error:
            self._give_up(f"{self.running} returned something that cannot be read: {error}")

    def _refer(self, function: Callable[..., Any]) -> int:
        self._functions.append(function)
        return len(self._functions) - 1

    def _call_back(self, request: dict[str, Any], buffers: list[bytes]) -> None:
        """Call one of the grader's functions for the student's."""
        number, unpacker, packer = request["back"], Unpacker(buffers), Packer(self._refer)
        if type(number) is not int or not 0 <= number < len(self._functions):
            raise ProtocolError("it called a function that it was not given")
        arguments = unpacker.unpack(request.get("arguments"))
        named = unpacker.unpack(request.get("named"))
        try:
            reply = {"value": packer.pack(self._functions[number](*arguments, **named))}
        except Exception as error:
            packer, reply = Packer(), {"error": type(error).__name__, "message": str(error)}
        self._channel.send(reply, packer.buffers)


class RemoteFunction:
    """One of the student's functions; a call of it is a call in the student's process."""

    def __init__(self, name: str, student: Callable[[], Student]) -> None:
        """`student` returns the process to call, perhaps a new one after the first has ended."""
        self.__name__ = name
        self.returned = 0  # calls that did not end with an error
        self._student = student

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it with these arguments."""
        value = self._student().call(self.__name__, arguments, named)
        self.returned += 1
        return value


class _Backward(torch.autograd.Function):
    """Links a call's results to its inputs, with the student's process as the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, student: Student, graph: int, results: list[Tensor], *inputs: Tensor
    ) -> tuple[Tensor, ...]:
        ctx.student, ctx.graph, ctx.count = student, graph, len(inputs)
        return tuple(result.detach().clone() for result in results)

    @staticmethod
    def backward(ctx: Any, *output_gradients: Tensor) -> tuple[Any, ...]:
        found = ctx.student.gradients(ctx.graph, output_gradients)
        if len(found) != ctx.count:
            raise ValueError("the gradients do not fit the arguments")
        return (None, None, None, *found)


def _as_result(value: Any) -> Any:
    """A copy of a result that does not depend on the arguments; `requires_grad` is preserved."""
    return value.clone() if isinstance(value, Tensor) else value


def _copy_into(old: Any, new: Any) -> None:
    """Give the old values, in place, the content that the student's function gave them."""
    if isinstance(old, nn.Module) and isinstance(new, dict):
        _copy_into(dict(old.state_dict()), new)
    elif isinstance(old, Tensor) and isinstance(new, Tensor) and old.shape == new.shape:
        with torch.no_grad():
            old.copy_(new.detach())
        if new.requires_grad and old.is_leaf and not old.requires_grad:
            old.requires_grad_()
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key in new:
                _copy_into(old[key], new[key])
    elif isinstance(old, list | tuple) and isinstance(new, list | tuple):
        for one, other in zip(old, new, strict=False):
            _copy_into(one, other)
        if isinstance(old, list) and len(old) != len(new):
            old[:] = new
    elif isinstance(old, np.ndarray) and isinstance(new, np.ndarray) and old.shape == new.shape:
        old[...] = new
