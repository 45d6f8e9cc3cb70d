"""`seglib assignments`."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Work with the course's assignments.")


@app.callback()
def _group() -> None:
    """Work with the course's assignments."""


Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="PATH", help="The file or folder to write.")
]
Number = Annotated[str, typer.Argument(metavar="NN", help="The number of the assignment.")]


Numbers = Annotated[
    list[str] | None, typer.Argument(metavar="NN…", help="Assignments; all by default.")
]


@app.command()
def build(numbers: Numbers = None) -> None:
    """Build the student notebooks from the masters."""
    from seglib.workshop.assignments import build as build_assignments

    for path in build_assignments(numbers):
        typer.echo(path)


@app.command()
def release(out: Out, numbers: Numbers = None) -> None:
    """Write what students need, and nothing else, to a folder or a zip file."""
    from seglib.workshop.release import release as write

    for name in write(numbers, out):
        typer.echo(f"{name} in {out}")


@app.command()
def solution(
    number: Number,
    out: Out,
    hidden: Annotated[
        bool, typer.Option("--hidden", help="Include the hidden checks, for instructors.")
    ] = False,
) -> None:
    """Write an assignment with its solutions as a notebook, to compare with your own attempt."""
    from seglib.workshop.release import write_solution

    write_solution(number, out, hidden=hidden)
    typer.echo(out)


@app.command()
def gradescope(
    number: Number,
    out: Out,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the hidden inputs; chosen at random by default.")
    ] = None,
    unsafe: Annotated[
        bool,
        typer.Option("--unsafe", help="Do without bubblewrap, if the containers do not allow it."),
    ] = False,
) -> None:
    """Pack an autograder for Gradescope: the zip file that its page asks for."""
    from seglib.grading.gradescope import pack

    seed = secrets.randbelow(2**31) if seed is None else seed
    pack(number, out, seed=seed, unsafe=unsafe)
    typer.echo(f"{out}, seed {seed}")
