"""The shipped instance paradigms: accuracy, size, time per image, training; run this file.

Times are medians over the images, all models in turns on each image, so that a busy machine slows
all alike. The accuracies are those of the shipped records (`seglib eval shipped` measures them).
`--plot FILE` draws mask AP against milliseconds.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from seglib import plotting, pretrained
from seglib.data import load_dataset

REFERENCE = "mask_rcnn"
PARTS = ("", "50", "s", "m", "l")


def milliseconds(names: list[str], images: int) -> dict[str, float]:
    """The median time per image of each model, one image at a time, after a warm-up."""
    data = load_dataset("pocket", split="val", limit=images)
    models = {name: pretrained.load(name) for name in names}
    times: dict[str, list[float]] = {name: [] for name in names}
    for index in range(1 + images):
        image = data[max(0, index - 1)][0]
        for name, model in models.items():
            start = time.perf_counter()
            model.predict([image])
            times[name].append(time.perf_counter() - start)
    return {name: 1000 * statistics.median(each[1:]) for name, each in times.items()}


def main() -> None:
    """Print the table, and draw the figure if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    records = {name: pretrained.record(name) for name in pretrained.shipped_models()}
    records = {name: known for name, known in records.items() if "mask_AP" in known["figures"]}
    times = milliseconds(list(records), options.images)
    columns = ("AP", "AP50", "small", "medium", "large", "parameters", "ms", "ratio", "training")
    table = Table("model", *columns, title=f"{options.images} images, ratio to {REFERENCE}")
    for name, known in records.items():
        figures = (f"{known['figures'][f'mask_AP{part}']:.3f}" for part in PARTS)
        ratio = f"{times[name] / times[REFERENCE]:.2f}"
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
