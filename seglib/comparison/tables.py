"""The two tables of a tour: accuracy, mostly from records, and cost, mostly measured now."""

from __future__ import annotations

import math
from dataclasses import dataclass

from seglib.comparison.records import MASK_PARTS, minutes_by_device
from seglib.comparison.tour import Stop, Tour
from seglib.pretrained.results import Row

# Heading of a column → the name of its figure in the records.
ACCURACY = {
    **{heading: figure for figure, heading in MASK_PARTS.items()},
    "mean IoU": "mean_iou",
    "PQ": "PQ",
    "AR@100": "mask_AR@100",
}
# A paradigm's main figure is the first of these that it has; the values are short names.
MAIN = {"mask_AP": "AP", "mean_iou": "IoU", "mask_AR@100": "AR"}
NOTHING = "–"


@dataclass(frozen=True)
class TextTable:
    """A table as text.

    Attributes:
        title: the text above the table.
        headings: one per column; the first column has the names of the paradigms.
        rows: each has as many cells as there are headings.
        notes: sentences below the table.
    """

    title: str
    headings: list[str]
    rows: list[list[str]]
    notes: list[str]


def accuracy_table(tour: Tour) -> TextTable:
    """The recorded figures, and the main one as measured now."""
    rows = [[stop.title, *recorded(stop.record), _measured(stop)] for stop in tour.stops]
    evaluated = tour.stops[0].record["evaluated"]
    scored = "the first" if tour.scored == 1 else f"the first {tour.scored}"
    notes = [
        f'On record: {evaluated}. Measured now, in the column "now": {scored} of them.',
        "AP is mask AP, by object size in the columns small, medium and large. AR@100 is the "
        "average recall of 100 proposals, which have no classes.",
    ]
    return TextTable("Accuracy", ["", *ACCURACY, "now"], rows, notes)


def recorded(record: Row) -> list[str]:
    """A record's cells for the columns of `ACCURACY`."""
    return [_figure(record["figures"].get(name)) for name in ACCURACY.values()]


def cost_table(tour: Tour) -> TextTable:
    """Size, arithmetic and time as measured now, and the recorded training time."""
    rows = [
        [
            stop.title,
            f"{stop.parameters / 1e6:.2f} M",
            f"{stop.multiply_adds / 1e9:.2f} G",
            f"{stop.milliseconds:.0f}",
            trained(stop),
        ]
        for stop in tour.stops
    ]
    headings = ["", "parameters", "multiply-adds", "ms per image", "training, on record"]
    return TextTable("Cost", headings, rows, _cost_notes(tour))


def _cost_notes(tour: Tour) -> list[str]:
    notes = [
        f"Measured now: milliseconds on the CPU with {_threads(tour.threads)}, the median of "
        f"{tour.rounds} predictions of single images, all models in turns; multiply-adds of a "
        f"prediction, the mean of the {len(tour.pictures)} pictures. Convolutions, linear layers "
        "and products of matrices count.",
    ]
    elapsed = [stop.title for stop in tour.stops if _is_elapsed(stop)]
    if elapsed:
        notes.append(f"For {_listed(elapsed)}, the record has elapsed minutes on a CPU.")
    began = [f"{stop.title} ({stop.began_from})" for stop in tour.stops if stop.began_from]
    if began:
        notes.append(
            f"These began with another checkpoint, whose training is not counted: {_listed(began)}."
        )
    return notes


def trained(stop: Stop) -> str:
    """How long the training took: CPU minutes, or elapsed minutes on a GPU."""
    spent = minutes_by_device(stop.record)
    if list(spent) == ["cpu"]:
        elapsed = f"{stop.record['minutes']:.0f} min"
        return elapsed if _is_elapsed(stop) else f"{stop.record['cpu_minutes']:.0f} CPU min"
    parts = {"GPU" if device != "cpu" else "CPU": minutes for device, minutes in spent.items()}
    return " + ".join(f"{minutes:.0f} {device} min" for device, minutes in parts.items())


def _is_elapsed(stop: Stop) -> bool:
    """Whether a training on a CPU has elapsed minutes on record instead of CPU minutes."""
    return (stop.record.get("device") or "cpu") == "cpu" and "cpu_minutes" not in stop.record


def _measured(stop: Stop) -> str:
    name = next((name for name in MAIN if name in stop.measured), None)
    return NOTHING if name is None else f"{MAIN[name]} {_figure(stop.measured[name])}"


def _figure(value: float | None) -> str:
    return NOTHING if value is None or math.isnan(value) else f"{value:.3f}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _listed(items: list[str]) -> str:
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"
