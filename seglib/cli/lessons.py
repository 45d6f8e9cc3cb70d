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
        typer.Argument(metavar="NN…", help="Numbers, such as 02 04; all without any."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            "--dataset",
            "-d",
            metavar="D",
            help="Data for the lessons; only pocket's outputs are ever written.",
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write/--check", help="Replace the notebooks, or only execute them.")
    ] = True,
) -> None:
    """Build the lessons from their sources and execute them."""
    from seglib.workshop import run as run_lessons

    run_lessons(list(lessons) if lessons else None, write=write, dataset=dataset)
