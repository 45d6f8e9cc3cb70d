"""`seglib lessons`."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Work with the course's notebooks.")


@app.callback()
def _group() -> None:
    """Work with the course's notebooks."""


@app.command()
def run(
    lessons: Annotated[
        list[str] | None,
        typer.Argument(metavar="NN…", help="Lesson numbers, such as 02 04; all by default."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            "-d",
            metavar="D",
            help="Data set for the lessons; notebooks are only replaced with pocket.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write/--check", help="Replace the notebooks or only execute them.")
    ] = True,
) -> None:
    """Build the lessons from their sources and execute them."""
    from seglib.workshop import run as run_lessons

    run_lessons(list(lessons) if lessons else None, write=write, dataset=dataset)
