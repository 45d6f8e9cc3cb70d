"""`seglib eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from seglib.cli.ceiling_lines import ceiling_lines
from seglib.cli.options import Checkpoint, Dataset, Device, Limit, Size
from seglib.cli.shipped_table import print_shipped


def evaluate(
    model: Checkpoint,
    dataset: Dataset = None,
    split: Annotated[str, typer.Option(help="Split to evaluate on.")] = "val",
    size: Size = None,
    limit: Limit = None,
    device: Device = "auto",
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the figures to this file."),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class/--summary", help="Show every class, or only the means.")
    ] = True,
    errors: Annotated[
        bool, typer.Option("--errors", help="Also count false positives by their kind of error.")
    ] = False,
) -> None:
    """Score a trained model, and compare it with a perfect network of the same output form.

    The name "shipped" scores every checkpoint that comes with the course, in one table.
    Without --size, images have the size that the model was trained at. Annotations are scaled with
    the images, in float64, so figures by object size are those of the scaled objects.
    --errors counts the kinds of errors, and shows how much AP50 would gain without each of them.
    """
    from rich.console import Console

    from seglib import pretrained
    from seglib.atomic import write_atomic
    from seglib.cli.error_table import ErrorWatcher
    from seglib.cli.progress import Bar
    from seglib.data.datasets import load_dataset
    from seglib.metrics.evaluate import evaluate as score

    if model == "shipped":
        if size is not None or json_file is not None or errors:
            raise typer.BadParameter(
                "--size, --json and --errors need a single model, not 'shipped'"
            )
        print_shipped(dataset, split, limit, device)
        return
    path = pretrained.find(model)
    network = pretrained.load(path, device=device)
    size = size or network.config.image_size
    data = load_dataset(dataset, split=split, size=size, limit=limit)
    watcher = ErrorWatcher(network, data) if errors else None
    with Bar("evaluating", "images", len(data)) as bar:
        metrics = score(network, data, progress=lambda done, total: bar.update(done), watch=watcher)
    console = Console(soft_wrap=True)
    console.print(metrics.table(per_class=per_class))
    lines, ceilings = ceiling_lines(network, data, limit, metrics.figures, size)
    for line in lines:
        console.print(line, highlight=False)
    if watcher is not None:
        console.print(watcher.table())
    if json_file is not None:
        result = {
            **metrics.to_dict(),
            "checkpoint": path.name if path.parent.name == "checkpoints" else str(path),
            "split": split,
            "size": size,
            "ceilings": ceilings,
            **({} if watcher is None else {"errors": watcher.to_dict()}),
        }
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(json_file, lambda stream: stream.write(text.encode()))
