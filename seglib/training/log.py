"""The log of a run: JSON lines, one per step, that other programs can follow while it grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.training.history import History

FILE_NAME = "log.jsonl"


class RunLog:
    """Appends to log.jsonl in the run's folder; without a folder, it writes nothing.

    Lines are {"run": settings}, {"step", "loss", each named loss, "lr", "seconds"} and
    {"step", "validation": {metric: value}}.
    """

    def __init__(self, folder: Path | None, history: History) -> None:
        """Rewrite the file with the lines of `history`, without lines after its checkpoint."""
        self._path = None if folder is None else folder / FILE_NAME
        if self._path is not None:
            lines = "".join(json.dumps(row) + "\n" for row in _rows(history))
            write_atomic(self._path, lambda stream: stream.write(lines.encode()))

    def add(self, row: dict[str, Any]) -> None:
        """Append one line.

        Raises:
            SeglibError: the file cannot be written.
        """
        if self._path is None:
            return
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(row) + "\n")
        except OSError as error:
            raise SeglibError(f"cannot write {self._path}: {error.strerror or error}") from error


def step_row(history: History, index: int) -> dict[str, Any]:
    """The line of step index + 1."""
    parts = {name: values[index] for name, values in history.parts.items()}
    return {
        "step": index + 1,
        "loss": history.losses[index],
        **parts,
        "lr": history.lr[index],
        "seconds": history.seconds[index],
    }


def validation_row(values: dict[str, float]) -> dict[str, Any]:
    """The line of a validation, from its row in the history."""
    metrics = {name: value for name, value in values.items() if name != "step"}
    return {"step": int(values["step"]), "validation": metrics}


def _rows(history: History) -> list[dict[str, Any]]:
    settings = None if history.config is None else history.config.to_dict()
    rows: list[dict[str, Any]] = [{"run": settings}]
    after: dict[int, list[dict[str, Any]]] = {}
    for values in history.validation:
        after.setdefault(int(values["step"]), []).append(validation_row(values))
    for index in range(len(history.losses)):
        rows.append(step_row(history, index))
        rows += after.get(index + 1, [])
    return rows
