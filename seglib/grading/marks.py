"""The marks of one submission: the points earned in each task, and why points were lost."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.grading.splice import is_checks

FAILED = "the grader failed"  # in the line of marks that the next run makes again


@dataclass
class TaskMark:
    """The mark of one checks cell.

    Attributes:
        cell: the id of the cell.
        title: the task that it belongs to.
        points: the points that it is worth.
        earned: the points that were earned.
        visible, hidden: number of cases that passed, and of all cases.
        reasons: why points were lost, for the student.
        details: why points were lost, for the instructor; may contain hidden values.
    """

    cell: str
    title: str
    points: int
    earned: float = 0.0
    visible: tuple[int, int] = (0, 0)
    hidden: tuple[int, int] = (0, 0)
    reasons: list[str] = field(default_factory=list)
    details: list[str] = field(default_factory=list)


@dataclass
class Marks:
    """The marks of one submission.

    Attributes:
        student: who handed it in.
        assignment: the name of the master.
        seed: seed of the hidden inputs.
        line: a remark on the whole submission in one line, or "".
        notes: what is unusual about the notebook.
        forbidden: the forbidden functions that its functions called.
        answers: a hash of its answers, to find copies.
        sandboxed: whether it ran in a sandbox.
        tasks: the marks of its checks cells.
    """

    student: str
    assignment: str
    seed: int
    line: str = ""
    notes: list[str] = field(default_factory=list)
    forbidden: list[str] = field(default_factory=list)
    answers: str = ""
    sandboxed: bool = True
    tasks: list[TaskMark] = field(default_factory=list)

    @property
    def points(self) -> int:
        """The points that all tasks are worth together."""
        return sum(task.points for task in self.tasks)

    @property
    def earned(self) -> float:
        """The points that were earned in all tasks together."""
        return sum(task.earned for task in self.tasks)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Marks:
        """Read the values of `dataclasses.asdict`.

        Raises:
            SeglibError: the record is not one of marks.
        """
        try:
            tasks = [
                TaskMark(**{**t, "visible": tuple(t["visible"]), "hidden": tuple(t["hidden"])})
                for t in record["tasks"]
            ]
            return cls(**{**record, "tasks": tasks})
        except (TypeError, KeyError) as error:
            raise SeglibError(f"this is not a record of marks: {error}") from error


def empty_tasks(master: NotebookNode) -> Iterator[TaskMark]:
    """The checks cells of an assignment, with no points earned."""
    title = ""
    for cell in master.cells:
        if heading := re.match(r"## (Task \d+: .*)", cell.source):
            title = heading[1]
        elif is_checks(cell):
            yield TaskMark(cell.id, title, cell.metadata["nbgrader"]["points"])
