"""`seglib tour`: every paradigm on the same pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from seglib.comparison.tables import TextTable
    from seglib.comparison.tour import Tour

PICTURES, SCORED = 4, 20


def tour(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the files.")] = Path("tour"),
    images: Annotated[
        int, typer.Option(min=1, max=100, metavar="N", help="Number of pictures to show.")
    ] = PICTURES,
    limit: Annotated[
        int,
        typer.Option(
            min=1, metavar="N", help="Score every model on the first N validation images."
        ),
    ] = SCORED,
) -> None:
    """Compare all paradigms on the same pictures: predictions, accuracy and cost.

    Uses the checkpoints that come with the course, Pocket COCO, and the CPU. Writes a page
    (tour.html), the pictures and the tables as PNG, and all numbers as JSON. The accuracy on all
    validation images and the training minutes are taken from records; the rest is measured now.
    """
    from rich.console import Console

    from seglib.atomic import make_folder
    from seglib.comparison.files import FILES, write_tour
    from seglib.comparison.tables import accuracy_table, cost_table

    make_folder(out)
    taken = _take(images, limit)
    command = f"seglib tour --images {images} --limit {limit}"
    files = write_tour(taken, out, command)
    console = Console(soft_wrap=True, highlight=False)
    for table in (accuracy_table(taken), cost_table(taken)):
        console.print(_shown(table))
        for note in table.notes:
            console.print(note, markup=False)
        console.print()
    for path in files:
        typer.echo(f"{path}: {FILES[path.name]}")


def _take(images: int, limit: int) -> Tour:
    """The tour of all paradigms that have a shipped checkpoint, with a progress bar."""
    from seglib import pretrained
    from seglib.cli.progress import Bar
    from seglib.comparison.tour import Plan, take_tour
    from seglib.data.datasets import load_dataset
    from seglib.pretrained.shipped import shipped_models

    names, plan = shipped_models(), Plan(images, limit)
    dataset = load_dataset("pocket", split="val", cache=True)
    models = {name: pretrained.load(name, device="cpu") for name in names}
    records = {name: pretrained.record(name) for name in names}
    with Bar("tour", "predictions", plan.predictions(len(names))) as bar:
        return take_tour(models, records, dataset, plan, bar.update)


def _shown(table: TextTable) -> Table:
    """A table for the console."""
    from rich import box
    from rich.table import Table

    shown = Table(
        title=table.title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,  # 76 characters wide with separators, narrower than a console
        show_edge=False,
    )
    for number, heading in enumerate(table.headings):
        shown.add_column(heading, justify="right" if number else "left", no_wrap=True)
    for row in table.rows:
        shown.add_row(*row)
    return shown
