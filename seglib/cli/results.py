"""`seglib results`: every finished run of the course, and the figures it reached."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seglib.errors import SeglibError

if TYPE_CHECKING:
    from rich.table import Table

    from seglib.pretrained.results import Row

# The main figures of the paradigms, the most important first.
MAIN_FIGURES = (
    "mean_iou",
    "mask_AP",
    "box_AP",
    "box_AP75",
    "box_AP90",
    "mask_AR@100",
    "box_AR@100",
)


def results(
    file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The table; by default the course's own.")
    ] = None,
    commands: Annotated[
        bool, typer.Option("--commands", help="Also print the command of each run.")
    ] = False,
) -> None:
    """Print the table of finished runs: seed, processor time and main figures, oldest first."""
    from rich.console import Console

    from seglib.data.assets import asset
    from seglib.pretrained.results import read_results

    file = file or asset("results.jsonl")
    rows = read_results(file)
    if not rows:
        raise SeglibError(f"{file} contains no results yet")
    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(rows))
    if commands:
        for number, row in enumerate(rows, start=1):
            console.print(f"\n{number}. {row['name']}\n{row['command']}", markup=False)


def _table(rows: list[Row]) -> Table:
    """One row per run, one column per main figure that any run has; at most 100 characters wide."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from seglib.pretrained.results import training_minutes

    figures = [name for name in MAIN_FIGURES if any(_has(row["figures"], name) for row in rows)]
    table = Table(
        title="Finished runs", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )
    table.add_column("", justify="right")
    table.add_column("run", overflow="fold")
    for heading in ("seed", "CPU\nmin", *(name.replace("_", "\n") for name in figures)):
        table.add_column(heading, justify="right", no_wrap=True)
    for number, row in enumerate(rows, start=1):
        values = (_shown(row["figures"], name) for name in figures)
        seed = "–" if row["seed"] is None else str(row["seed"])
        table.add_row(str(number), escape(row["name"]), seed, training_minutes(row), *values)
    return table


def main_figures(figures: dict[str, Any]) -> str:
    """The main figures among these, one per line: "mask_AP 0.451"."""
    names = [name for name in MAIN_FIGURES if _has(figures, name)]
    return "\n".join(f"{name} {_shown(figures, name)}" for name in names)


def _has(figures: dict[str, Any], name: str) -> bool:
    return figures.get(name) is not None


def _shown(figures: dict[str, Any], name: str) -> str:
    return f"{figures[name]:.3f}" if _has(figures, name) else ""
