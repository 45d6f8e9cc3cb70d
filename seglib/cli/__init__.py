"""The command line: `seglib train`, `eval`, `predict`, `doctor`, `weights`, `results`, `tour`,
`data`, `lessons`, `assignments`, `grade`, `check`, `progress`.

Commands import what they need when they run, so that every `--help` is fast.
"""

from __future__ import annotations

from typing import Annotated

import typer

import seglib
from seglib.cli import (
    assignments,
    data,
    doctor,
    evaluate,
    grade,
    lessons,
    predict,
    results,
    ship,
    tour,
    train,
    weights,
)
from seglib.cli.errors import ErrorsInOneLine

app = typer.Typer(
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Instance segmentation from scratch: train, evaluate and inspect every paradigm.",
    epilog="Data sets: [bold]pocket[/] (synthetic, the default), [bold]coco-mini[/] (some classes "
    "of COCO), [bold]coco:PATH[/] (any COCO folder). SEGLIB_DEBUG=1 shows tracebacks.",
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"seglib {seglib.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None:
    pass


app.command("train")(train.train)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("weights")(weights.weights)
app.command("doctor")(doctor.doctor)
app.command("results")(results.results)
app.command("tour")(tour.tour)
app.command("ship", hidden=True)(ship.ship)
app.command("grade")(grade.grade)
app.command("check")(grade.check)
app.command("progress")(grade.progress)
app.add_typer(data.app, name="data")
app.add_typer(lessons.app, name="lessons")
app.add_typer(assignments.app, name="assignments")
