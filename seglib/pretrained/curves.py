"""How AP rose while networks of different paradigms learned from nothing, on equal terms."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from seglib.data.assets import asset
from seglib.json_files import parse_json

FILE = "learning_curves.json"
FIGURES = ("mask_AP", "box_AP")


@dataclass(frozen=True)
class LearningCurve:
    """One training, seen at its validations.

    Attributes:
        command: that made it.
        minutes: processor minutes of training until each validation, without validations.
        images: training images seen until then, repeated ones counted again.
        figures: "mask_AP" and "box_AP" at each validation, in 0…1.
    """

    command: str
    minutes: list[float]
    images: list[int]
    figures: dict[str, list[float]]


def learning_curves() -> dict[str, LearningCurve]:
    """The recorded trainings by paradigm; `python tools/learning_curves.py` makes the record.

    All began with random weights, on the same processors, for 12 to 15 processor minutes.
    """
    curves = parse_json(asset(FILE).read_bytes())
    return {name: LearningCurve(**curve) for name, curve in curves.items()}


def curve_of_run(folder: Path, threads: int) -> LearningCurve:
    """The curve of a run of `seglib train --eval-every N`.

    Args:
        folder: with its run.json and log.jsonl.
        threads: that it computed with, all busy: so many processor minutes pass per minute.
    """
    settings = parse_json((folder / "run.json").read_bytes())
    rows = [parse_json(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    validations: dict[int, dict[str, Any]] = {
        row["step"]: row["validation"] for row in rows if "validation" in row
    }
    elapsed = _training_seconds([row["seconds"] for row in rows if "loss" in row], set(validations))
    # The last validation, on all images, replaces one on a few of them just before it.
    last = max(validations)
    steps = [step for step in sorted(validations) if step == last or step < 0.95 * last]
    return LearningCurve(
        settings["command"],
        [round(elapsed[step - 1] * threads / 60, 2) for step in steps],
        [step * settings["batch_size"] for step in steps],
        {name: [round(validations[step][name], 4) for step in steps] for name in FIGURES},
    )


def _training_seconds(seconds: list[float], validated: set[int]) -> list[float]:
    """Seconds of training alone until each step.

    The time between a validation and the next step contains the validation: a usual step's time
    stands in its place.
    """
    gaps = [later - sooner for sooner, later in zip([0.0, *seconds], seconds, strict=False)]
    usual = median(gaps)
    total, elapsed = 0.0, []
    for step, gap in enumerate(gaps, 1):
        total += min(gap, usual) if step - 1 in validated else gap
        elapsed.append(total)
    return elapsed


def curves_as_json(curves: dict[str, LearningCurve]) -> str:
    """What `learning_curves` reads."""
    return json.dumps({name: asdict(curve) for name, curve in curves.items()}, indent=1) + "\n"
