"""A tour as files: its pictures and tables as PNG, everything as JSON and as one HTML page."""

from __future__ import annotations

import json
import math
import platform
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch

import seglib
from seglib.atomic import write_atomic
from seglib.comparison.markdown import markdown
from seglib.comparison.page import page
from seglib.comparison.tables import accuracy_table, cost_table
from seglib.comparison.tour import Stop, Tour
from seglib.plotting.panels import Figure
from seglib.plotting.paradigms import PictureRow, show_side_by_side
from seglib.plotting.tables import show_tables

# File name → what the file contains.
FILES = {
    "tour.html": "everything on one page",
    "tour.png": "the pictures",
    "table.png": "the tables",
    "tour.md": "the tables as text",
    "tour.json": "all numbers",
}


def write_tour(tour: Tour, folder: Path, command: str) -> list[Path]:
    """Write the files of `FILES` and return their paths.

    Args:
        tour: what `take_tour` returned.
        folder: created if it does not exist.
        command: the command that took the tour, which the files state.
    """
    made = {"command": command, "versions": versions()}
    contents = {
        "tour.html": page(tour, made).encode(),
        "tour.png": pictures_figure(tour).png(),
        "table.png": tables_figure(tour).png(),
        "tour.md": markdown(tour, made).encode(),
        "tour.json": (
            json.dumps(made | as_json(tour), indent=1, ensure_ascii=False) + "\n"
        ).encode(),
    }
    for name, content in contents.items():
        write_atomic(folder / name, partial(_write, content))
    return [folder / name for name in FILES]


def _write(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def versions() -> dict[str, str]:
    """The versions of the programs that the numbers depend on."""
    return {
        "seglib": seglib.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def pictures_figure(tour: Tour) -> Figure:
    """A figure with a row per picture and a column per paradigm."""
    rows = [
        PictureRow(
            picture.image,
            picture.target,
            [stop.predictions[number] for stop in tour.stops],
            picture.kind,
        )
        for number, picture in enumerate(tour.pictures)
    ]
    headings = [f"{stop.title}\n{stop.shown}" for stop in tour.stops]
    return show_side_by_side(rows, headings, tour.categories, min_score=0.0)


def tables_figure(tour: Tour) -> Figure:
    """Both tables, without their notes."""
    tables = accuracy_table(tour), cost_table(tour)
    return show_tables([(table.title, table.headings, table.rows) for table in tables])


def as_json(tour: Tour) -> dict[str, Any]:
    """All numbers of a tour as JSON values; None where a figure is undefined."""
    return {
        "pictures": [
            {"image_id": picture.target.image_id, "kind": picture.kind} for picture in tour.pictures
        ],
        "images_scored_now": tour.scored,
        "timed_predictions": tour.rounds,
        "threads": tour.threads,
        "models": [_stop(stop) for stop in tour.stops],
    }


def _stop(stop: Stop) -> dict[str, Any]:
    kept = ("evaluated", "figures", "minutes", "cpu_minutes", "device", "device_minutes", "command")
    return {
        "name": stop.name,
        "title": stop.title,
        "tasks": list(stop.tasks),
        "on_record": {key: stop.record[key] for key in kept if key in stop.record},
        "began_from": stop.began_from,
        "measured_now": {
            "figures": {k: None if math.isnan(v) else v for k, v in stop.measured.items()},
            "parameters": stop.parameters,
            "multiply_adds": stop.multiply_adds,
            "milliseconds": round(stop.milliseconds, 1),
        },
    }
