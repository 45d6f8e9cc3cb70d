"""Learning curves: AP during the training of several paradigms from scratch, on equal terms."""

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
    """The validations of one training run.

    Attributes:
        command: the command of the run.
        minutes: CPU minutes of training before each validation, without the validations.
        images: number of training images seen before each validation, repetitions included.
        figures: "mask_AP" and "box_AP" → the figure at each validation, in 0…1.
    """

    command: str
    minutes: list[float]
    images: list[int]
    figures: dict[str, list[float]]


def learning_curves() -> dict[str, LearningCurve]:
    """The recorded curves by paradigm, which `python tools/learning_curves.py` writes.

    All runs started from random weights and took 12 to 15 CPU minutes on the same processors.
    """
    curves = parse_json(asset(FILE).read_bytes())
    return {name: LearningCurve(**curve) for name, curve in curves.items()}


def curve_of_run(folder: Path, threads: int) -> LearningCurve:
    """The curve of a run of `seglib train --eval-every N`.

    Args:
        folder: the run's, with run.json and log.jsonl.
        threads: number of threads of the run, all of them busy, so that each elapsed minute counts
            as this many CPU minutes.
    """
    settings = parse_json((folder / "run.json").read_bytes())
    rows = [parse_json(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    validations: dict[int, dict[str, Any]] = {
        row["step"]: row["validation"] for row in rows if "validation" in row
    }
    elapsed = _training_seconds([row["seconds"] for row in rows if "loss" in row], set(validations))
    # The last validation, on all images, replaces one on a few images shortly before it.
    last = max(validations)
    steps = [step for step in sorted(validations) if step == last or step < 0.95 * last]
    return LearningCurve(
        settings["command"],
        [round(elapsed[step - 1] * threads / 60, 2) for step in steps],
        [step * settings["batch_size"] for step in steps],
        {name: [round(validations[step][name], 4) for step in steps] for name in FIGURES},
    )


def _training_seconds(seconds: list[float], validated: set[int]) -> list[float]:
    """Seconds of training until the end of each step, without validations.

    Args:
        seconds: elapsed seconds at the end of each step, with validations.
        validated: numbers of the steps after which there was a validation.
    """
    durations = [later - sooner for sooner, later in zip([0.0, *seconds], seconds, strict=False)]
    usual = median(durations)
    total, elapsed = 0.0, []
    for step, duration in enumerate(durations, 1):
        # The step after a validation includes it, so the median duration is used instead.
        total += min(duration, usual) if step - 1 in validated else duration
        elapsed.append(total)
    return elapsed


def curves_as_json(curves: dict[str, LearningCurve]) -> str:
    """The text of the file that `learning_curves` reads."""
    return json.dumps({name: asdict(curve) for name, curve in curves.items()}, indent=1) + "\n"
