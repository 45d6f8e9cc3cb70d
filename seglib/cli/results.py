"""`seglib results`: every finished run of the course, and what it reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from seglib.errors import SeglibError

# What a paradigm is judged by, first match first.
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
) -> None:
    """Print the table of finished runs: figures, seed, processor time and command."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from seglib.data.assets import asset
    from seglib.pretrained.results import read_results

    file = file or asset("results.jsonl")
    rows = read_results(file)
    if not rows:
        raise SeglibError(f"{file} holds no results yet")
    table = Table("run", "seed", "CPU min", "figures", "command", title="Finished runs")
    for row in rows:
        table.add_row(
            escape(row["name"]),
            str(row["seed"]),
            str(row["cpu_minutes"]),
            main_figures(row["figures"]),
            escape(row["command"]),
        )
    Console().print(table)


def main_figures(figures: dict[str, Any]) -> str:
    """The figures that count, "mask_AP 0.451, box_AP 0.552"."""
    shown = [name for name in MAIN_FIGURES if figures.get(name) is not None]
    return "\n".join(f"{name} {figures[name]:.3f}" for name in shown)
