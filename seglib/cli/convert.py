"""`seglib data convert`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from seglib.cli.options import limit_option
from seglib.counted import counted

if TYPE_CHECKING:
    from seglib.data.conversion import Conversion


def convert(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC",
            help="pocket, coco-mini, coco:PATH or a COCO folder; with --to coco, an Ultralytics "
            "folder or its data.yaml.",
        ),
    ],
    folder: Annotated[Path, typer.Argument(metavar="DST", help="The folder to write.")],
    to: Annotated[
        Literal["ultralytics", "coco"], typer.Option("--to", help="The format to write.")
    ],
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="With --to ultralytics: train or val; all that exist by default.",
            show_default=False,
        ),
    ] = None,
    limit: Annotated[
        int | None,
        limit_option("With --to ultralytics: only the first N images of each split."),
    ] = None,
) -> None:
    """Convert between COCO's format and Ultralytics' folders of polygons, with their images.

    An Ultralytics folder has one polygon per object; parts and holes are joined by seams, which do
    not change any pixel. Crowds are left out.
    """
    from seglib.data.ultralytics_read import from_ultralytics

    if to == "ultralytics":
        done = _to_ultralytics(source, folder, split, limit)
        hint = f"train with Ultralytics' programs on {folder / 'data.yaml'}"
    else:
        done = from_ultralytics(Path(source), folder)
        hint = f"use it with --dataset coco:{folder}"
    typer.echo(
        f"wrote {counted(done.images, 'image')} and {counted(done.objects, 'object')}: {hint}"
    )
    if done.joined:
        typer.echo(
            f"{counted(done.joined, 'object')} of several parts or with holes became one polygon "
            "each"
        )
    if done.crowds or done.empty:
        empty = f", {counted(done.empty, 'object')} without a pixel" if done.empty else ""
        typer.echo(f"left out: {counted(done.crowds, 'crowd')}{empty}")
    if to == "ultralytics":
        typer.echo(f"IoU of each mask before and after: {done.lowest_iou:.4f} or more")


def _to_ultralytics(
    source: str, folder: Path, splits: list[str] | None, limit: int | None
) -> Conversion:
    from seglib.cli.progress import Bar
    from seglib.data.datasets import SPLITS, load_dataset
    from seglib.data.ultralytics_write import to_ultralytics

    named = source in ("pocket", "coco-mini") or source.startswith("coco:")
    spec = source if named else f"coco:{source}"
    found = {}
    for split in splits or SPLITS:
        data = load_dataset(spec, split=split, limit=limit)
        if splits or split in data.annotations_path.stem:  # skip a file that serves as both splits
            found[split] = data
    with Bar("converting", "images", sum(map(len, found.values()))) as bar:
        return to_ultralytics(list(found.values()), folder, bar.update)
