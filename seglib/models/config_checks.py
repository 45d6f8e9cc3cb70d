"""Refusing values that a config cannot have: by the types of its fields, and by range."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from math import inf
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from seglib.errors import SeglibError


def check_types(config: Any) -> None:
    """Every field of a dataclass holds what its annotation says, nested dataclasses likewise.

    Raises:
        SeglibError: a value of another type, or outside a `Literal`'s choices.
    """
    name, hints = type(config).__name__, get_type_hints(type(config))
    for field in fields(config):
        value, hint = getattr(config, field.name), hints[field.name]
        if not _fits(value, hint):
            if get_origin(hint) is Literal:
                *others, last = map(str, get_args(hint))
                choices = f"{', '.join(others)} or {last}"
                raise SeglibError(f"{name} has no {field.name} {value!r}: choose {choices}")
            raise SeglibError(f"{name} has {field.name}={value!r}: it must be {field.type}")
        if is_dataclass(value):
            check_types(value)


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value is of an annotated type, as far as configs use types."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Literal:
        return value in inner
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        each = (inner[0],) * len(value) if inner[-1] is Ellipsis else inner
        return len(each) == len(value) and all(map(_fits, value, each))
    return isinstance(value, (int, float) if hint is float else hint)


def check_range(config: Any, low: float, high: float, *names: str) -> None:
    """Numbers, alone or in tuples of any depth, lie in low…high; None passes.

    Raises:
        SeglibError: one does not, NaN among them.
    """
    for name in names:
        value = getattr(config, name)
        for number in _numbers(value):
            if not low <= number <= high:
                allowed = f"{low} or more" if high == inf else f"in {low}…{high}"
                raise SeglibError(
                    f"{type(config).__name__} has {name}={value}: it must be {allowed}"
                )


def _numbers(value: Any) -> Iterator[float]:
    if isinstance(value, tuple):
        for one in value:
            yield from _numbers(one)
    elif value is not None:
        yield value
