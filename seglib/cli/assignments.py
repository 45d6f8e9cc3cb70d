"""`seglib assignments`."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, help="Work with the course's assignments.")


@app.callback()
def _group() -> None:
    """Work with the course's assignments."""


@app.command()
def build() -> None:
    """Build the student notebooks from the masters."""
    from seglib.workshop.assignments import build as build_assignments

    for path in build_assignments():
        typer.echo(path)
