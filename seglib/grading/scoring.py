"""Mark one submission: its functions are called in the sandbox, and judged here.

A task earns points x the smaller of two shares: the visible cases that pass, and the hidden ones.
So whoever only reproduces the examples earns nothing, and whoever gets half of the cases right
earns about half. Marks are quarters of a point, rounded down.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.grading.cases import NOT_REACHED, Case, run_cell
from seglib.grading.remote import GoneError, RemoteFunction, Student
from seglib.grading.sandbox import Limits, Run, running
from seglib.grading.splice import (
    OPENING,
    Answers,
    functions_of,
    is_answer,
    is_checks,
    is_setup,
    read_answers,
    splice,
)

STEP = 4  # marks are multiples of 1/STEP points
MAX_RUNS = 3  # of one notebook, if its functions hang or end its process
MAX_REASONS = 4  # per task


@dataclass
class TaskMark:
    """The mark of one checks cell.

    Attributes:
        cell: its id.
        title: the task that it belongs to.
        points: what it is worth.
        earned: what was earned.
        visible, hidden: cases that passed, and all cases.
        reasons: why points were lost, for the student.
        details: the same for the instructor: may contain hidden values.
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
        seed: what the hidden inputs were made from.
        line: what is to be said of the whole submission in one line, or "".
        notes: what is unusual about the notebook.
        forbidden: what its functions called although they must not.
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
        """What all tasks are worth."""
        return sum(task.points for task in self.tasks)

    @property
    def earned(self) -> float:
        """What was earned."""
        return sum(task.earned for task in self.tasks)

    @classmethod
    def from_json(cls, record: dict[str, Any]) -> Marks:
        """From `dataclasses.asdict`.

        Raises:
            SeglibError: the record is not one.
        """
        try:
            tasks = [
                TaskMark(**{**t, "visible": tuple(t["visible"]), "hidden": tuple(t["hidden"])})
                for t in record["tasks"]
            ]
            return cls(**{**record, "tasks": tasks})
        except (TypeError, KeyError) as error:
            raise SeglibError(f"this is not a record of marks: {error}") from error


class Session:
    """The student's process, started again when it is gone."""

    def __init__(self, notebook: str, limits: Limits, unsafe: bool) -> None:
        self.forbidden: set[str] = set()
        self._notebook, self._limits, self._unsafe = notebook, limits, unsafe
        self._runs = contextlib.ExitStack()
        self._run: Run | None = None
        self._student: Student | None = None
        self._started = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._runs.close()

    @property
    def cells(self) -> dict[str, str]:
        """The cells that failed, and why."""
        return self._run.cells() if self._run else {}

    @property
    def unreachable(self) -> str:
        """Why the notebook did not come to its last cell, which answers calls; "" if it did."""
        return self._run.reason if self._run and self._student is None else ""

    def begin_task(self) -> None:
        """Start the process if there is none, or again if a function has ended it.

        Raises:
            SeglibError: the grader's own first cell failed.
        """
        never_ready = self._run is not None and self._student is None
        alive = self._student is not None and not self._student.gone
        if alive or never_ready or self._started == MAX_RUNS:
            return
        self._runs.close()
        self._started += 1
        self._run = self._runs.enter_context(
            running(self._notebook, self._limits, unsafe=self._unsafe)
        )
        self._student = None
        if self._run.connection is not None:
            self._student = Student(self._run.connection, self._limits.call_seconds)
            self._student.forbidden = self.forbidden
        if OPENING in self.cells:
            raise SeglibError(f"the grader's first cell failed: {self.cells[OPENING]}")

    def student(self) -> Student:
        """The process to call.

        Raises:
            GoneError: there is none.
        """
        reason = self._run.reason if self._run else ""
        if self._student is None or (self._student.gone and reason):
            raise GoneError(reason)
        return self._student


def mark(
    data: bytes,
    master: NotebookNode,
    marks: Marks,
    *,
    limits: Limits | None = None,
    unsafe: bool = False,
    fresh: bool = True,
) -> Marks:
    """Mark a submission.

    Args:
        data: the content of its file.
        master: the assignment, from `read_master`; without hidden checks, only the visible ones
            count.
        marks: student, assignment and seed; the rest is filled in.
        limits: what the submission may use.
        unsafe: run it without a sandbox.
        fresh: run checks that have no hidden part a second time, with fresh seeds.

    Returns:
        `marks`. What is wrong with a submission is in them; it is never raised.
    """
    limits = limits or Limits()
    marks.sandboxed = not unsafe
    marks.tasks = list(empty_tasks(master))
    try:
        answers = read_answers(data, master)
    except SeglibError as error:
        marks.line = f"Not marked: {error}."
        return marks
    marks.notes = answers.notes
    marks.answers = hashlib.sha256(repr(sorted(answers.sources.items())).encode()).hexdigest()[:16]
    notebook = splice(master, answers, limits.cell_seconds, limits.wall_seconds)
    with Session(notebook, limits, unsafe) as session:
        try:
            _judge(master, marks, answers, session, fresh)
        except SeglibError as error:
            marks.line = f"Not marked completely: {error}."
        if session.unreachable and not marks.earned:
            marks.line = f"Nothing could be marked: {session.unreachable}."
        marks.forbidden = sorted(session.forbidden)
    return marks


def empty_tasks(master: NotebookNode) -> Iterator[TaskMark]:
    """The checks cells of an assignment, with no points earned."""
    title = ""
    for cell in master.cells:
        if heading := re.match(r"## (Task \d+: .*)", cell.source):
            title = heading[1]
        elif is_checks(cell):
            yield TaskMark(cell.id, title, cell.metadata["nbgrader"]["points"])


def _judge(
    master: NotebookNode, marks: Marks, answers: Answers, session: Session, again: bool
) -> None:
    """Run the assignment here, with the student's functions called in their own process."""
    names: dict[str, Any] = {"__name__": "checks"}
    written: list[str] = []  # the answer cells since the last checks cell
    tasks = iter(marks.tasks)
    for cell in master.cells:
        if is_answer(cell):
            written.append(cell.id)
            for function in functions_of(cell.source):
                names[function] = RemoteFunction(function, session.student)
        elif is_checks(cell):
            session.begin_task()
            task = next(tasks)
            before = _returned(names)
            fill_in(task, list(_cases(cell.source, names, marks.seed, again)))
            if _returned(names) == before:  # then the answers did not make any case pass
                task.earned = 0.0
            if task.earned < task.points:
                task.reasons[:0] = _broken_cells(written, answers, session.cells)
            written = []
        elif is_setup(cell):
            exec(compile(cell.source, cell.id, "exec"), names)


def _returned(names: dict[str, Any]) -> int:
    """How many calls of the student's functions have returned."""
    return sum(each.returned for each in names.values() if isinstance(each, RemoteFunction))


def _cases(source: str, names: dict[str, Any], seed: int, again: bool) -> Iterator[Case]:
    """The cases of a checks cell; one without a hidden part can run again with fresh seeds."""

    def fresh(value: int) -> int:
        digest = hashlib.sha256(f"{seed}:{value}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    yield from run_cell(source, names, fresh)
    if again and "manual_seed" in source and "### BEGIN HIDDEN TESTS" not in source:
        yield from run_cell(source, names, fresh, all_hidden=True)


def _broken_cells(written: list[str], answers: Answers, cells: dict[str, str]) -> list[str]:
    found = [
        f"the answer cell {name!r} is missing" for name in written if name not in answers.sources
    ]
    for name in written:
        if name in cells:
            found.append(f"the answer cell {name!r} fails when it runs: {cells[name]}")
    return found


def fill_in(task: TaskMark, cases: list[Case]) -> None:
    """Compute the mark of a task from its cases."""
    shares = []
    for hidden in (False, True):
        those = [case for case in cases if case.hidden is hidden]
        passed = sum(case.passed for case in those)
        setattr(task, "hidden" if hidden else "visible", (passed, len(those)))
        shares += [passed / len(those)] if those else []
    task.earned = math.floor(STEP * task.points * min(shares, default=0.0)) / STEP
    failed = [case for case in cases if not case.passed]
    failed = [case for case in failed if case.reason != NOT_REACHED] or failed
    visible = dict.fromkeys(case.shown for case in failed if not case.hidden)
    hidden_reasons = dict.fromkeys(
        case.shown for case in failed if case.hidden and case.shown not in visible
    )
    task.reasons = list(visible)[:MAX_REASONS]
    if hidden_reasons:
        passed, count = task.hidden
        task.reasons.append(
            f"on {count - passed} of {count} inputs that are not shown, "
            f"{' or '.join(list(hidden_reasons)[:2])}"
        )
    task.details = list(dict.fromkeys(case.reason for case in failed))[:MAX_REASONS]
