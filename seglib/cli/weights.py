"""`seglib weights`."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seglib.cli.errors import say
from seglib.errors import SeglibError

if TYPE_CHECKING:
    from rich.table import Table

    from seglib.models.base import Segmenter
    from seglib.pretrained.published import Published

MEGABYTE = 1_000_000


def _complete_name(incomplete: str) -> list[str]:
    from seglib.pretrained.published import PUBLISHED

    return [name for name in PUBLISHED if name.startswith(incomplete)]


def weights(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="A name from the list.",
            autocompletion=_complete_name,
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Copy this file, which you have downloaded, into the cache."
        ),
    ] = None,
) -> None:
    """Fetch published weights, trained on photographs; without a name, list them.

    The file is checked and kept in the cache, where `predict` and `eval` find it by its name. The
    same command resumes an interrupted download.
    """
    from seglib.pretrained import load, published_files

    if name is None:
        if file is not None:
            raise typer.BadParameter("--file also needs the name of the weights in the file")
        _print_list()
        return
    entry = published_files.published(name)
    path = published_files.cached_path(entry)
    if file is not None:
        network = published_files.add_downloaded(entry, file)
        typer.echo(f"copied to {path}\n{_contents(network)}")
    elif published_files.is_intact(entry):
        typer.echo(f"already in the cache: {path}")
    else:
        _fetch(entry)
        typer.echo(f"fetched to {path}\n{_contents(load(path))}")
    _print_facts(entry)


def _fetch(entry: Published) -> None:
    """Download the file with a progress bar; if that fails, explain how to do it by hand."""
    from seglib.cli.progress import Bar
    from seglib.pretrained import published_files

    path = published_files.cached_path(entry)
    if path.is_file():
        say(f"{path} is damaged: fetching it again")
    elif not entry.by_hand:
        typer.echo(f"fetching {entry.address} ({_size(entry)}, licence {entry.licence})")
    bars: list[Bar] = []
    with ExitStack() as stack:

        def show(received: int, total: int | None) -> None:
            if not bars:
                known = total or (entry.megabytes or 0) * MEGABYTE or received
                done = received // MEGABYTE
                bars.append(stack.enter_context(Bar(entry.name, "MB", known // MEGABYTE, done)))
            bars[0].update(received // MEGABYTE)

        try:
            published_files.fetch(entry, show)
        except SeglibError:
            stack.close()
            say(_by_hand(entry))
            raise


def _by_hand(entry: Published) -> str:
    """Instructions for use without a network, or for a file that only a browser can fetch."""
    from seglib.pretrained.published_files import cached_path

    where = "open in a browser" if entry.by_hand else "on any computer, download"
    return (
        f"{entry.file} by hand ({_size(entry)}, licence {entry.licence}):\n"
        f"  1. {where}: {entry.address}\n"
        f"  2. here: seglib weights {entry.name} --file {entry.file}\n"
        f"     (this checks it and copies it to {cached_path(entry)})"
    )


def _contents(network: Segmenter) -> str:
    parameters = sum(p.numel() for p in network.parameters()) / 1e6
    return f"{network.name}, {parameters:.1f} M parameters, {len(network.categories)} classes"


def _print_facts(entry: Published) -> None:
    """Print the file's licence, how it was checked, and how to use it."""
    from seglib.pretrained.published_files import ALGORITHMS, recorded_sha256

    sha256 = recorded_sha256(entry)
    limits = ", not for commercial use" if "NC" in entry.licence else ""
    typer.echo(f"licence of the weights: {entry.licence}{limits}")
    if entry.digest:
        kind = ALGORITHMS[entry.algorithm]
        typer.echo(f"{kind} begins with {entry.digest}, as published; whole SHA-256: {sha256}")
    else:
        typer.echo(
            f"SHA-256 {sha256}\nits authors published no digest to compare this with; from now on "
            "it shows whether the file has changed"
        )
    typer.echo(f"next: seglib predict {entry.name} photo.jpg")


def _print_list() -> None:
    from rich.console import Console

    from seglib.data.assets import cache_dir
    from seglib.pretrained.published import PUBLISHED

    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(list(PUBLISHED.values())))
    console.print(
        "\n`seglib weights NAME` fetches a file, `seglib predict NAME photo.jpg` uses it."
        "\nThose of YOLACT need a browser. CC BY-NC forbids commercial use."
        f"\nCache: {cache_dir() / 'weights'}",
        markup=False,
    )


def _table(entries: list[Published]) -> Table:
    from rich.table import Table

    from seglib.pretrained.published_files import cached_path

    table = Table(box=None, pad_edge=False, collapse_padding=True)
    for heading in ("name", "model", "classes", "licence", "MB", "cached"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "MB" else "left")
    for entry in entries:
        cached = "yes" if cached_path(entry).is_file() else "by hand" if entry.by_hand else "no"
        size = str(entry.megabytes or "?")
        table.add_row(entry.name, entry.model, entry.classes, entry.licence, size, cached)
    return table


def _size(entry: Published) -> str:
    return "size unknown" if entry.megabytes is None else f"{entry.megabytes} MB"
