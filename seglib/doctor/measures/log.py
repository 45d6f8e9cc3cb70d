"""Measure how a training run went, from its log or from a shipped checkpoint's record."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from seglib.doctor.symptoms import LogSymptoms
from seglib.errors import SeglibError
from seglib.json_files import parse_json
from seglib.pretrained import record
from seglib.pretrained.shipped import shipped_models


def log_symptoms(path: Path, settings: Mapping[str, Any]) -> LogSymptoms:
    """Measure a run's log.jsonl.

    Args:
        path: the file.
        settings: the run's settings from run.json; empty if that could not be read.

    Raises:
        SeglibError: the file cannot be read or contains no step.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise SeglibError(f"cannot read {path}: {error.strerror or error}") from error
    rows, damaged = [], 0
    for line in filter(str.strip, lines):
        try:
            row = parse_json(line)
        except ValueError:
            row = None
        rows += [row] if isinstance(row, dict) else []
        damaged += not isinstance(row, dict)
    losses = [row["loss"] for row in rows if isinstance(row.get("loss"), int | float)]
    logged = [row["run"] for row in rows if isinstance(row.get("run"), dict)]
    if not losses:
        raise SeglibError(f"{path} contains no steps: the training never began")
    found = _measured(losses, dict(logged[0] if logged else {}) | dict(settings))
    found.damaged = damaged
    return _with_usual(found, str(settings.get("model", "")))


def shipped_log_symptoms(name: str) -> LogSymptoms:
    """Measure how a shipped checkpoint was trained."""
    history = record(name)["history"]
    return _measured(history["losses"], history["config"] or {})


def _measured(losses: Sequence[float], settings: Mapping[str, Any]) -> LogSymptoms:
    finite = [loss for loss in losses if math.isfinite(loss)]
    tenth = max(1, len(finite) // 10)
    tenths = [finite[i : i + tenth] for i in range(0, len(finite) - tenth + 1, tenth)]
    means = [sum(part) / tenth for part in tenths] or [math.nan]
    last = sum(finite[-tenth:]) / max(1, len(finite[-tenth:]))
    before = finite[-2 * tenth : -tenth] or finite[-tenth:] or [math.nan]
    return LogSymptoms(
        steps=len(losses),
        planned=_number(settings.get("steps")),
        first=means[0],
        last=last,
        lowest=min(means),
        before_last=sum(before) / len(before),
        not_finite=len(losses) - len(finite),
        lr=_number(settings.get("lr")),
        optimizer=str(settings.get("optimizer", "adamw")),
        batch_size=_number(settings.get("batch_size")) or 1,
    )


def _number(value: Any) -> Any:
    """The value if it is a number, else None: a file may contain anything."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _with_usual(found: LogSymptoms, model: str) -> LogSymptoms:
    """Add the learning rate and the length of the run that the shipped checkpoint came from."""
    if model in shipped_models():
        try:
            usual = record(model)["history"]
        except SeglibError:  # an installed package that cannot fetch the record
            return found
        config = usual["config"]
        if config["optimizer"] == found.optimizer:
            found.usual_lr = config["lr"]
        found.usual_images = len(usual["losses"]) * config["batch_size"]
    return found
