"""Settings: dataclass fields with a help text, a range and choices.

The checks of `TrainConfig`, the options of `seglib train` and the checks of run.json are all
made from these fields.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, field, fields
from reprlib import repr as shortened
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from seglib.errors import SeglibError

WHOLE_NUMBERS_END = 2**63  # tensors cannot contain this number or larger ones
WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Setting:
    """The description of a setting in its field's metadata.

    Attributes:
        help: one line of text.
        panel: the heading of its group in the command line's help.
        low: the smallest value allowed.
        above: values must be larger than this.
        below: values must be smaller than this.
        command_line: the default on the command line.
        unset: what None means, in words.
        metavar: the placeholder of the value in the command line's help, if "N", "X" and the like
            would say too little.
        flag: the option's name on the command line, if it differs from the field's.
    """

    help: str
    panel: str = ""
    low: float | None = None
    above: float | None = None
    below: float | None = None
    command_line: Any = None
    unset: str = ""
    metavar: str = ""
    flag: str = ""


@dataclass(frozen=True)
class Kind:
    """The values that a field can have, according to its type hint.

    Attributes:
        type: the type of the values, apart from None.
        choices: the only values allowed; empty allows any.
        optional: whether the value may be None.
    """

    type: type
    choices: tuple[str, ...] = ()
    optional: bool = False


def setting(help: str, default: Any = MISSING, *, command_line: Any = MISSING, **more: Any) -> Any:
    """A dataclass field with a `Setting`; `default` is also the default on the command line."""
    on_command_line = default if command_line is MISSING else command_line
    described = Setting(help, command_line=on_command_line, **more)
    return field(default=default, metadata={"setting": described})


def settings_of(config: Any) -> Iterator[tuple[Field[Any], Setting, Kind]]:
    """The fields of a dataclass (or an instance) that `setting` made."""
    kinds = kinds_of(config)
    for setting_field in fields(config):
        yield setting_field, setting_field.metadata["setting"], kinds[setting_field.name]


def kinds_of(config: Any) -> dict[str, Kind]:
    """What each field of a dataclass can hold."""
    owner = config if isinstance(config, type) else type(config)
    return {name: kind_of(hint) for name, hint in get_type_hints(owner).items()}


def kind_of(hint: Any) -> Kind:
    """What a type hint allows: a plain type or a `Literal` of texts, and perhaps None."""
    inner = get_args(hint)
    if get_origin(hint) is Annotated:
        return kind_of(inner[0])
    if get_origin(hint) is Literal:
        return Kind(str, inner)
    if get_origin(hint) in (Union, UnionType):
        (other,) = (one for one in inner if one is not NoneType)
        return Kind(kind_of(other).type, kind_of(other).choices, optional=True)
    return Kind(hint)


def is_of_kind(value: Any, kind: Kind) -> bool:
    """Whether a field of this kind can hold the value; its range is another question."""
    if value is None:
        return kind.optional
    if kind.choices:
        return value in kind.choices
    if kind.type is float and isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, kind.type) and not (kind.type is int and isinstance(value, bool))


def wanted(kind: Kind) -> str:
    """The values of a field of this kind, in words."""
    if kind.choices:
        return f"one of {', '.join(kind.choices)}"
    return WORDS.get(kind.type, f"a {kind.type.__name__}")


def check_settings(config: Any) -> None:
    """Check that every field has a value of its kind and in its range.

    Raises:
        SeglibError: a field has another value; the message names it and says what it must be.
    """
    for setting_field, described, kind in settings_of(config):
        value = getattr(config, setting_field.name)
        if not is_of_kind(value, kind):
            raise SeglibError(f"{setting_field.name}={value!r}: it must be {wanted(kind)}")
        if isinstance(value, int) and abs(value) >= WHOLE_NUMBERS_END:
            raise SeglibError(f"{setting_field.name}={shortened(value)}: it must be below 2^63")
        if not _is_in_range(value, described):
            raise SeglibError(f"{setting_field.name}={value!r}: it must be {_range(described)}")


def _is_in_range(value: Any, described: Setting) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return True
    return (
        math.isfinite(value)
        and (described.low is None or value >= described.low)
        and (described.above is None or value > described.above)
        and (described.below is None or value < described.below)
    )


def _range(described: Setting) -> str:
    bounds = {"at least": described.low, "above": described.above, "below": described.below}
    parts = [f"{word} {bound:g}" for word, bound in bounds.items() if bound is not None]
    return " and ".join(parts) or "finite"
