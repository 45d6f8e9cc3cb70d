"""The names that an untrusted pickle of weights may use, and the errors for all others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from seglib.errors import SeglibError, printable


class Refused(Exception):
    """The file asks for something that weights do not need."""


class Damaged(Exception):
    """The file is not a pickle, or ends too early."""


@dataclass(frozen=True)
class Name:
    """A function or class named in the file; it is not imported."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(frozen=True)
class Opaque:
    """An object saved with the weights, such as parsed arguments; only its name is read."""

    name: Name


@contextmanager
def errors_about(source: object) -> Iterator[None]:
    """Turn `Refused` and `Damaged`, raised in the block, into a SeglibError that names the file."""
    try:
        yield
    except Refused as refused:
        raise SeglibError(
            f"{source} asks for {printable(str(refused))}, but weights need only numeric arrays: "
            "the file was not read and no code in it was run; do not trust it"
        ) from refused
    except Damaged as damaged:
        reason = printable(str(damaged))
        raise SeglibError(f"{source} is damaged or not a file of weights ({reason})") from damaged


class Stateful:
    """Base of the results of `Vocabulary.calls` whose state the file may set later."""

    def set_state(self, state: object) -> None:
        """Set the state; raises Refused if it does not describe data."""
        raise Refused(f"a state for {type(self).__name__}")


@dataclass(frozen=True)
class Vocabulary:
    """The names that a kind of file may use.

    Attributes:
        calls: names that may be called with plain arguments, and functions that describe the
            results.
        opaque: whether objects of a name are harmless and may be ignored; they become `Opaque`.
        persistent: describes a reference to data outside the pickle; None refuses such references.
    """

    calls: Mapping[Name, Callable[..., Any]]
    opaque: Callable[[Name], bool]
    persistent: Callable[[Any], Any] | None = None
