"""`seglib eval`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from seglib.cli.options import Dataset, Limit, Size
from seglib.cli.shipped_table import print_shipped
from seglib.cli.window_lines import share_of, window_lines

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.models.base import Segmenter
    from seglib.models.deepmask import DeepMask


def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL|DIR|FILE",
            help="A shipped checkpoint, a run's folder, a .safetensors file, or a .pth or .pkl of "
            "torchvision's or detectron2's published weights.",
        ),
    ],
    dataset: Dataset = None,
    split: Annotated[str, typer.Option(help="Split to evaluate on.")] = "val",
    size: Size = None,
    limit: Limit = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Also write the figures here."),
    ] = None,
    per_class: Annotated[
        bool, typer.Option("--per-class/--summary", help="Show every class, or the means only.")
    ] = True,
) -> None:
    """Score a trained model, beside the score of a perfect network with its output form.

    MODEL "shipped" scores every checkpoint that comes with the course, in one table.
    Images have the size that the model was trained at with --size, unless you say otherwise.
    """
    from rich.console import Console

    from seglib import pretrained
    from seglib.cli.progress import Bar
    from seglib.data.atomic import write_atomic
    from seglib.data.datasets import load_dataset
    from seglib.metrics.evaluate import evaluate as score

    if model == "shipped":
        print_shipped(dataset, split, limit)
        return
    path = pretrained.find(model)
    network = pretrained.load(path)
    size = size or network.config.image_size
    data = load_dataset(dataset, split=split, size=size, limit=limit)
    with Bar("evaluating", "images", len(data)) as bar:
        metrics = score(network, data, progress=lambda done, total: bar.update(done))
    console = Console(soft_wrap=True)
    console.print(metrics.table(per_class=per_class))
    lines, ceilings = ceiling_lines(network, data, limit, metrics.figures, size)
    for line in lines:
        console.print(line, highlight=False)
    if json_file is not None:
        result = {
            **metrics.to_dict(),
            "checkpoint": path.name if path.parent.name == "checkpoints" else str(path),
            "split": split,
            "size": size,
            "ceilings": ceilings,
        }
        text = json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomic(json_file, lambda stream: stream.write(text.encode()))


def ceiling_lines(
    network: Segmenter,
    data: CocoFolder,
    limit: int | None,
    figures: dict[str, float],
    size: int | None,
) -> tuple[list[str], dict[str, Any]]:
    """The ceiling of the model's output form on these images, in words and as JSON values."""
    from seglib.metrics.ceilings import semantic_ceiling

    if network.name == "deepmask":
        return window_lines(cast("DeepMask", network), data, limit, figures)
    cells = getattr(network, "mask_size", None)
    if cells is not None and "mask_AP" in figures:
        return _roi_lines(data, cells, limit, figures["mask_AP"])
    stride = getattr(network, "output_stride", None)
    if "semantic" not in network.tasks or stride is None or "mean_iou" not in figures:
        return [], {}
    seen = network.config.image_size
    if seen is not None and seen != size:
        return [f"ceiling: known at the size that the model sees; add --size {seen}"], {}
    ceiling = semantic_ceiling(data, stride, limit)
    sides = {size} if size else {max(data.record(i).size) for i in data.image_ids}
    pixels = f"at {sides.pop()} px" if len(sides) == 1 else "at their own sizes"
    share = share_of(figures["mean_iou"], ceiling)
    if share is None:
        return [], {}
    line = (
        f"ceiling: a perfect network with logits of stride {stride} reaches mean_iou "
        f"{ceiling:.3f} on these {len(data)} images {pixels}; this model reaches {share:.3f} of it"
    )
    return [line], {"mean_iou": {"stride": stride, "ceiling": ceiling, "share": share}}


def _roi_lines(
    data: CocoFolder, cells: int, limit: int | None, reached: float
) -> tuple[list[str], dict[str, Any]]:
    """The ceiling of masks that are small squares inside boxes."""
    from seglib.metrics.ceilings import mask_ceiling

    ceiling = mask_ceiling(data, roi_size=cells, limit=limit)
    share = share_of(reached, ceiling)
    if share is None:
        return [], {}
    line = (
        f"ceiling: a perfect detector with {cells} x {cells} masks in its boxes reaches mask_AP "
        f"{ceiling:.3f} on these {len(data)} images; this model reaches {share:.3f} of it"
    )
    return [line], {"mask_AP": {"cells": cells, "ceiling": ceiling, "share": share}}
