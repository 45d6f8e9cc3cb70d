"""`seglib eval shipped`: every checkpoint of the course, scored again, in one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seglib.cli.errors import say
from seglib.cli.results import MAIN_FIGURES, main_figures

if TYPE_CHECKING:
    from seglib.data.datasets import CocoFolder
    from seglib.metrics.report import Metrics
    from seglib.models.base import Segmenter


def print_shipped(dataset: str | None, split: str, limit: int | None, device: str) -> None:
    """Evaluate every shipped checkpoint and print its figures next to the recorded ones.

    Args:
        dataset: as on the command line; None means the default.
        split: the split to evaluate on.
        limit: use only the first `limit` images; the recorded figures are always those of all.
        device: where to compute.
    """
    from rich.console import Console
    from rich.table import Table

    from seglib import pretrained
    from seglib.cli.ceiling_lines import ceiling_lines
    from seglib.data.datasets import load_dataset
    from seglib.pretrained.results import training_minutes
    from seglib.pretrained.shipped import SHIPPED

    measured = "measured now" if limit is None else f"first {limit} images"
    table = Table("checkpoint", "parameters", measured, "on record", "CPU min")
    console = Console(soft_wrap=True)
    for number, name in enumerate(SHIPPED, start=1):
        say(f"evaluating {name}, checkpoint {number} of {len(SHIPPED)}")
        network = pretrained.load(name, device=device)
        size = network.config.image_size
        data = load_dataset(dataset, split=split, size=size, limit=limit)
        metrics = _scored(name, network, data)
        record = pretrained.record(name)
        table.add_row(
            name,
            f"{sum(p.numel() for p in network.parameters()):,}",
            main_figures(metrics.figures),
            main_figures({k: v for k, v in record["figures"].items() if k in MAIN_FIGURES}),
            training_minutes(record),
        )
        for line in ceiling_lines(network, data, limit, metrics.figures, size)[0]:
            console.print(f"{name}: {line}", highlight=False)
    console.print(table)


def _scored(name: str, network: Segmenter, data: CocoFolder) -> Metrics:
    from seglib.cli.progress import Bar
    from seglib.metrics.evaluate import evaluate

    with Bar(name, "images", len(data)) as bar:
        return evaluate(network, data, progress=lambda done, total: bar.update(done))
