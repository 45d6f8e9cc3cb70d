"""`seglib data`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from seglib.cli.convert import convert
from seglib.cli.errors import FAILED
from seglib.cli.options import Dataset, Size
from seglib.counted import counted
from seglib.errors import printable

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder

app = typer.Typer(no_args_is_help=True, help="Draw, fetch, inspect and convert data sets.")
app.command()(convert)


@app.command()
def pocket(
    split: Annotated[
        list[str] | None,
        typer.Option(help="train or val; both by default.", show_default=False),
    ] = None,
) -> None:
    """Draw Pocket COCO's images, or verify those that already exist.

    This is optional: the training images are drawn when a command or lesson first needs them.
    """
    from seglib.data.pocket import ensure_pocket

    for name in split or ["train", "val"]:
        typer.echo(f"{name}: {ensure_pocket(name)}")


@app.command("coco-mini")
def coco_mini(
    categories: Annotated[
        str | None, typer.Option(metavar="NAME,…", help="COCO class names, comma-separated.")
    ] = None,
    images: Annotated[int, typer.Option(min=2, metavar="N", help="Total number of images.")] = 200,
    source: Annotated[
        str, typer.Option(help="val2017, or train2017, whose annotation file is much larger.")
    ] = "val2017",
) -> None:
    """Fetch a few hundred real COCO images of some classes; resumes after an interruption."""
    from seglib.data.assets import cache_dir
    from seglib.data.mini import DEFAULT_CATEGORIES, MiniRequest, fetch_mini

    names = tuple(n.strip() for n in categories.split(",") if n.strip()) if categories else None
    request = MiniRequest(categories=names or DEFAULT_CATEGORIES, images=images, source=source)
    folder = fetch_mini(request, cache_dir() / "coco-mini")
    typer.echo(f"{folder}: use it with --dataset coco-mini")


@app.command()
def info(dataset: Dataset = None, split: str = "val", size: Size = None) -> None:
    """Count a data set's images and the objects and pixels of each category."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from seglib.data.datasets import load_dataset

    data = load_dataset(dataset, split=split, size=size)
    objects, pixels = _counts(data)
    title = f"{data.name}, {split}: {len(data)} images, {sum(objects)} objects"
    table = Table(title=escape(title), caption=escape("\n".join(data.notes)) or None)
    for column in ("category", "kind", "objects", "pixels %"):
        table.add_column(column, justify="left" if column in ("category", "kind") else "right")
    total = max(1, sum(pixels))
    for category in data.categories:
        kind = "thing" if category.is_thing else "stuff"
        share = f"{100 * pixels[category.label] / total:.1f}"
        table.add_row(escape(category.name), kind, str(objects[category.label]), share)
    Console().print(table)


@app.command()
def check(dataset: Dataset = None, split: str = "val") -> None:
    """Read every record and image; list all faults, and what is left out and why.

    The exit code is 1 if anything is broken.
    """
    from seglib.cli.progress import Bar
    from seglib.data.checking import check_dataset

    def watch(image_ids: Sequence[int]) -> Iterator[int]:
        with Bar("checking", "images", len(image_ids)) as bar:
            for done, image_id in enumerate(image_ids, start=1):
                yield image_id
                bar.update(done)

    found = check_dataset(dataset, split, watch)
    for fault in found.faults:
        typer.echo(f"fault: {printable(fault)}")
    for note in found.notes:
        typer.echo(f"note: {printable(note)}")
    objects = counted(found.objects, "object")
    crowds = f" and {counted(found.crowds, 'crowd')}" if found.crowds else ""
    typer.echo(
        f"{split}: {counted(found.images, 'image')} could be read, with {objects}{crowds}; "
        f"{counted(len(found.faults), 'fault')}, {counted(len(found.notes), 'note')}"
    )
    if found.faults:
        raise typer.Exit(FAILED)


def _counts(data: CocoFolder) -> tuple[list[int], list[int]]:
    """Objects and pixels by label, over all images; ignored pixels are not counted."""
    from seglib.cli.progress import Bar
    from seglib.structures import IGNORE

    labels = range(len(data.categories) + 1)
    objects, pixels = [0 for _ in labels], [0 for _ in labels]
    with Bar("reading", "images", len(data)) as bar:
        for index in range(len(data)):
            target = data[index][1]
            for label in target.labels.tolist():
                objects[label] += 1
            if target.semantic is not None:
                counts = target.semantic.flatten().bincount(minlength=IGNORE + 1).tolist()
                pixels = [pixels[label] + counts[label] for label in labels]
            bar.update(index + 1)
    return objects, pixels
