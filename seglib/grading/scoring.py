"""Mark one submission: its functions are called in the sandbox, and judged here.

A task earns its points times the smaller of two shares: the visible cases that pass, and the hidden
ones. So an answer that only reproduces the examples earns nothing, and one that is correct in half
of the cases earns about half. Marks are quarters of a point, rounded down.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from typing import Any

from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.grading.cases import NOT_REACHED, Case, run_cell
from seglib.grading.limits import Limits
from seglib.grading.marks import Marks, TaskMark, empty_tasks
from seglib.grading.remote import RemoteFunction
from seglib.grading.session import Session
from seglib.grading.splice import (
    Answers,
    functions_of,
    is_answer,
    is_checks,
    is_setup,
    read_answers,
    splice,
)

STEP = 4  # marks are multiples of 1/STEP points
MAX_REASONS = 4  # per task


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
        `marks`, which also say what is wrong with a submission; no error is raised for it.
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
    task.visible = _passed([case for case in cases if not case.hidden])
    task.hidden = _passed([case for case in cases if case.hidden])
    shares = [passed / count for passed, count in (task.visible, task.hidden) if count]
    task.earned = math.floor(STEP * task.points * min(shares, default=0.0)) / STEP
    failed = [case for case in cases if not case.passed]
    failed = [case for case in failed if case.reason != NOT_REACHED] or failed
    task.reasons = _reasons(failed, *task.hidden)
    task.details = list(dict.fromkeys(case.reason for case in failed))[:MAX_REASONS]


def _passed(cases: list[Case]) -> tuple[int, int]:
    """How many of them passed, and how many there are."""
    return sum(case.passed for case in cases), len(cases)


def _reasons(failed: list[Case], passed: int, count: int) -> list[str]:
    """The reasons for the student: of the `count` hidden cases, only how many failed, and how."""
    visible = dict.fromkeys(case.shown for case in failed if not case.hidden)
    hidden = dict.fromkeys(
        case.shown for case in failed if case.hidden and case.shown not in visible
    )
    reasons = list(visible)[:MAX_REASONS]
    if hidden:
        reasons.append(
            f"on {count - passed} of {count} inputs that are not shown, "
            f"{' or '.join(list(hidden)[:2])}"
        )
    return reasons
