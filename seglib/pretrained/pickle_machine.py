"""Read the data in an untrusted pickle without running any code in it.

A pickle is a program for a small stack machine. Most of its instructions put data on the stack; a
few look functions up by name and call them. This machine implements the first kind. It looks names
up only in the tables of this package, whose entries merely describe data, and its work is bounded
by the size of the file.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from seglib.pretrained.pickle_vocabulary import Damaged, Name, Opaque, Refused, Stateful, Vocabulary

MAX_INSTRUCTIONS = 2_000_000  # a published file of a thousand weights has about 50,000
MAX_CONTAINERS = 200_000
MAX_DEPTH = 1_000  # marks that are open at the same time
# Keys of dicts: hashing a tuple recurses to any depth, and the hashes of large numbers can be made
# to collide.
KEY_TYPES = (str, bytes, int, bool, type(None))
MAX_KEY = 2**31

_MARK: Final = object()
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY: dict[str, Callable[[], Any]] = {
    "EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_SET": set,
}  # fmt: skip
_VALUES = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE",
    "BINUNICODE8", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_GETS = frozenset(("GET", "BINGET", "LONG_BINGET"))
_PUTS = frozenset(("PUT", "BINPUT", "LONG_BINPUT"))


def read_pickle(stream: io.BytesIO, vocabulary: Vocabulary) -> Any:
    """Read the pickle at the stream's position, and move the stream to its end.

    Raises:
        Refused: an instruction that builds objects, a name outside the vocabulary, or more
            instructions, containers or nesting than weights need.
        Damaged: the bytes are not a pickle.
    """
    machine = _Machine(vocabulary)
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(stream)):
            if count >= MAX_INSTRUCTIONS:
                raise Refused(f"more than {MAX_INSTRUCTIONS} instructions")
            machine.step(opcode.name, argument)
        return machine.pop()
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, UnicodeError) as error:
        raise Damaged(str(error)[:200] or type(error).__name__) from error


@dataclass
class _Machine:
    """A stack with marks on it, and a memo."""

    vocabulary: Vocabulary
    stack: list[Any] = field(default_factory=list)
    memo: dict[int, Any] = field(default_factory=dict)
    marks: int = 0
    containers: int = 0

    def step(self, name: str, argument: Any) -> None:
        """Run one instruction."""
        if name in _VALUES:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.push_container(_EMPTY[name]())
        elif name in _TUPLES:
            count = _TUPLES[name]
            parts = [self.pop() for _ in range(count)]
            self.push_container(tuple(reversed(parts)))
        elif name in _GETS:
            self.stack.append(self.memo[argument])
        elif name in _PUTS:
            self.memo[argument] = self.top()
        else:
            run = _OTHERS.get(name)
            if run is None:
                raise Refused(f"the instruction {name}")
            run(self, argument)

    def pop(self) -> Any:
        """Remove and return the top value."""
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value belongs")
        return value

    def top(self) -> Any:
        """The top value, which stays on the stack."""
        if self.stack[-1] is _MARK:
            raise ValueError("a mark where a value belongs")
        return self.stack[-1]

    def push_container(self, value: Any) -> None:
        """Push a container and count it."""
        self.containers += 1
        if self.containers > MAX_CONTAINERS:
            raise Refused(f"more than {MAX_CONTAINERS} containers")
        self.stack.append(value)

    def mark(self) -> None:
        """Push a mark."""
        self.marks += 1
        if self.marks > MAX_DEPTH:
            raise Refused(f"nesting deeper than {MAX_DEPTH}")
        self.stack.append(_MARK)

    def above_mark(self) -> list[Any]:
        """Remove the last mark and return the values above it."""
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        values = self.stack[place + 1 :]
        del self.stack[place:]
        self.marks -= 1
        return values

    def extend(self, values: list[Any]) -> None:
        """Append to the list on the stack."""
        target = self.top()
        if not isinstance(target, list):
            raise Refused("items of something that is not a list")
        target.extend(values)

    def update(self, pairs: list[Any]) -> None:
        """Set items of the dict on the stack."""
        target = self.top()
        if not isinstance(target, dict):
            raise Refused("items of something that is not a dict")
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[_checked_key(key)] = value

    def add(self, values: list[Any]) -> None:
        """Add to the set on the stack."""
        target = self.top()
        if not isinstance(target, set):
            raise Refused("items of something that is not a set")
        target.update(_checked_key(value) for value in values)

    def name(self, module: Any, name: Any) -> None:
        """Push a name of the vocabulary."""
        if not (isinstance(module, str) and isinstance(name, str)):
            raise ValueError("a name that is not text")
        named = Name(module, name)
        if named not in self.vocabulary.calls and not self.vocabulary.opaque(named):
            raise Refused(str(named))
        self.stack.append(named)

    def call(self, function: Any, arguments: Any) -> None:
        """Push the description of the result of a call."""
        if not isinstance(function, Name) or not isinstance(arguments, tuple):
            raise Refused("a call to something that is not a name")
        describe = self.vocabulary.calls.get(function)
        self.push_container(Opaque(function) if describe is None else describe(*arguments))

    def build(self, state: Any) -> None:
        """Set the state of the top object."""
        target = self.top()
        if isinstance(target, Stateful):
            target.set_state(state)
        elif not isinstance(target, dict | Opaque):  # a state dict's metadata is not needed
            raise Refused(f"a state for a {type(target).__name__}")

    def refer(self) -> None:
        """Push the description of data outside the pickle."""
        if self.vocabulary.persistent is None:
            raise Refused("data outside the file")
        self.push_container(self.vocabulary.persistent(self.pop()))


def _checked_key(key: Any) -> Any:
    if type(key) not in KEY_TYPES or (type(key) is int and abs(key) > MAX_KEY):
        raise Refused(f"a key of type {type(key).__name__}")
    return key


def _global(machine: _Machine, argument: str) -> None:
    module, _, name = argument.partition(" ")
    machine.name(module, name)


def _stack_global(machine: _Machine, _: Any) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _reduce(machine: _Machine, _: Any) -> None:
    arguments, function = machine.pop(), machine.pop()
    machine.call(function, arguments)


def _new_object(machine: _Machine, _: Any) -> None:
    _, kind = machine.pop(), machine.pop()
    if not isinstance(kind, Name) or not machine.vocabulary.opaque(kind):
        raise Refused(f"a new {kind}" if isinstance(kind, Name) else "a new object of no class")
    machine.push_container(Opaque(kind))


def _append(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.extend([value])


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.update([key, value])


def _memoize(machine: _Machine, _: Any) -> None:
    machine.memo[len(machine.memo)] = machine.top()


def _dict(machine: _Machine, _: Any) -> None:
    pairs = machine.above_mark()
    machine.push_container({})
    machine.update(pairs)


_OTHERS: dict[str, Callable[[_Machine, Any], object]] = {
    "PROTO": lambda machine, _: None,
    "FRAME": lambda machine, _: None,
    "STOP": lambda machine, _: None,
    "MARK": lambda machine, _: machine.mark(),
    "POP": lambda machine, _: machine.pop(),
    "POP_MARK": lambda machine, _: machine.above_mark(),
    "TUPLE": lambda machine, _: machine.push_container(tuple(machine.above_mark())),
    "LIST": lambda machine, _: machine.push_container(machine.above_mark()),
    "DICT": _dict,
    "APPEND": _append,
    "APPENDS": lambda machine, _: machine.extend(machine.above_mark()),
    "SETITEM": _set_item,
    "SETITEMS": lambda machine, _: machine.update(machine.above_mark()),
    "ADDITEMS": lambda machine, _: machine.add(machine.above_mark()),
    "MEMOIZE": _memoize,
    "GLOBAL": _global,
    "STACK_GLOBAL": _stack_global,
    "REDUCE": _reduce,
    "NEWOBJ": _new_object,
    "BUILD": lambda machine, _: machine.build(machine.pop()),
    "BINPERSID": lambda machine, _: machine.refer(),
}
