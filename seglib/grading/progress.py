"""A student's own record of solved tasks, which is kept on this machine only."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import platformdirs

from seglib.atomic import write_atomic
from seglib.grading.marks import Marks


@dataclass(frozen=True)
class Solved:
    """The best result in one checks cell.

    Attributes:
        earned, points: points on the visible checks, earned and possible.
        day: the day on which this was first reached, such as 2026-11-27.
    """

    earned: float
    points: int
    day: str


Record = dict[str, dict[str, Solved]]  # assignment -> checks cell -> the best so far


def record_file() -> Path:
    """The path of the record."""
    return platformdirs.user_data_path("seglib") / "progress.json"


def read(path: Path) -> Record:
    """The record; an empty one if there is none, or if it cannot be read."""
    try:
        content = json.loads(path.read_text("utf-8"))
        return {
            str(name): {str(cell): Solved(**solved) for cell, solved in cells.items()}
            for name, cells in content.items()
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def add(path: Path, marks: Marks, today: date) -> Record:
    """Add a run of the visible checks to the record; worse results do not replace better ones."""
    record = read(path)
    cells = record.setdefault(marks.assignment, {})
    for task in marks.tasks:
        before = cells.get(task.cell)
        if before is None or task.earned > before.earned or task.points != before.points:
            cells[task.cell] = Solved(task.earned, task.points, today.isoformat())
    content = {
        name: {cell: vars(solved) for cell, solved in cells.items()}
        for name, cells in sorted(record.items())
    }
    write_atomic(path, lambda stream: stream.write(json.dumps(content, indent=1).encode()))
    return record


def picture(record: Record, width: int = 24) -> list[str]:
    """A bar per assignment with its points; below it each checks cell, and when it was solved."""
    lines = []
    for name, cells in sorted(record.items()):
        earned = sum(solved.earned for solved in cells.values())
        points = sum(solved.points for solved in cells.values())
        full = round(width * earned / points) if points else 0
        bar = "█" * full + "░" * (width - full)
        lines.append(f"{name:24} {bar} {earned:g} of {points} points")
        for cell, solved in cells.items():
            done = solved.earned == solved.points
            when = f"solved on {solved.day}" if done else f"{solved.earned:g} of {solved.points}"
            lines.append(f"  {'✓' if done else '·'} {cell:20} {when}")
    return lines
