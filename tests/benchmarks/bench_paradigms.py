"""Accuracy, size, time per image and training of the shipped instance models; run this file.

Times are medians over the images, all models in turns on each image, so that a busy machine slows
all alike. The accuracies are those of the shipped records (`seglib eval shipped` measures them).
`--plot FILE` draws mask AP against milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from seglib import plotting, pretrained
from seglib.comparison import medians, ratios, seconds_in_turns
from seglib.comparison.records import MASK_PARTS
from seglib.data import load_dataset

REFERENCE = "mask_rcnn"


def times_of(names: list[str], images: int) -> dict[str, list[float]]:
    """The seconds of each model for each image, one image at a time."""
    pictures = [image for image, _ in load_dataset("pocket", split="val", limit=images)]
    calls = {}
    for name in names:
        model, queue = pretrained.load(name), iter([pictures[0], *pictures])
        calls[name] = lambda m=model, q=queue: m.predict([next(q)])
    return seconds_in_turns(calls, images)


def main() -> None:
    """Print the table, and draw the figure if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    records = {name: pretrained.record(name) for name in pretrained.shipped_models()}
    records = {name: known for name, known in records.items() if "mask_AP" in known["figures"]}
    seconds = times_of(list(records), options.images)
    times = {name: 1000 * each for name, each in medians(seconds).items()}
    shares = ratios(seconds, REFERENCE)
    columns = (*MASK_PARTS.values(), "parameters", "ms", "ratio", "training")
    table = Table("model", *columns, title=f"{options.images} images, ratio to {REFERENCE}")
    for name, known in records.items():
        figures = (f"{known['figures'][part]:.3f}" for part in MASK_PARTS)
        ratio = f"{statistics.median(shares[name]):.2f}"
        trained = f"{known['minutes']:.0f} min, {known.get('device') or 'cpu'}"
        size = f"{known['parameters']:,}"
        table.add_row(name, *figures, size, f"{times[name]:.0f}", ratio, trained)
    Console(width=max(110, Console().width)).print(table)
    if options.plot:
        accuracy = {name: known["figures"]["mask_AP"] for name, known in records.items()}
        fig = plotting.tradeoff({name: (times[name], accuracy[name]) for name in records})
        fig.savefig(options.plot, dpi=150)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
