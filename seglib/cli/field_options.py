"""Create a command's options from the fields of dataclasses, so that each is defined once."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from seglib.training.settings import Kind, Setting, kind_of

Command = TypeVar("Command", bound=Callable[..., None])
METAVARS = {int: "N", float: "X", Path: "DIR", str: "TEXT"}


def options_from(*configs: type) -> Callable[[Command], Command]:
    """Replace a command's `**given` by one option for each field of these dataclasses.

    Typer takes a command's options from its signature. An option that is not given is None.
    """

    def give_options(command: Command) -> Command:
        hints = get_type_hints(command, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name])
            for parameter in inspect.signature(command).parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        parameters = [*own, *(option for config in configs for option in _options(config))]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {p.name: p.annotation for p in parameters}
        return command

    return give_options


def _options(config: type) -> list[inspect.Parameter]:
    """A keyword parameter per field; a type hint that already describes an option is kept."""
    hints = get_type_hints(config, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=(
                _annotation(field.name, field.metadata["setting"], kind_of(hints[field.name]))
                if "setting" in field.metadata
                else hints[field.name]
            ),
        )
        for field in fields(config)
    ]


def _annotation(name: str, described: Setting, kind: Kind) -> Any:
    """The type hint that tells typer everything about an option."""
    flag = (described.flag or name).replace("_", "-")
    bounds = {} if described.low is None else {"min": described.low}
    option = typer.Option(
        f"--{flag}/--no-{flag}" if kind.type is bool else f"--{flag}",
        help=f"{described.help}  [dim]\\[default: {_default(flag, described)}][/]",
        show_default=False,
        metavar=None if kind.choices else described.metavar or METAVARS.get(kind.type),
        rich_help_panel=described.panel or None,
        **bounds,  # type: ignore[arg-type]
    )
    values: Any = Literal[kind.choices] if kind.choices else kind.type
    return Annotated[values | None, option]


def _default(flag: str, described: Setting) -> str:
    """The default in words."""
    value = described.command_line
    if value is None:
        return described.unset
    if isinstance(value, bool):
        return flag if value else f"no-{flag}"
    return f"{value:g}" if isinstance(value, float) else str(value)
