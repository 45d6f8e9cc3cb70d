"""Mark a class: check that the reference earns full marks, then mark what is not yet saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat

from seglib.errors import SeglibError
from seglib.grading import saved_marks
from seglib.grading.isolation import require_bubblewrap
from seglib.grading.marks import Marks
from seglib.grading.plan import Plan, master_of
from seglib.grading.scoring import mark
from seglib.grading.submissions import Submission
from seglib.grading.workers import mark_each
from seglib.workshop.assignments import assignment_names


def grade(
    submissions: list[Submission],
    out: Path,
    plan: Plan,
    *,
    jobs: int = 2,
    on_done: Callable[[int, Marks], None] = lambda _count, _marks: None,
) -> list[Marks]:
    """Mark submissions and save the marks; those that are saved already are not marked again.

    Args:
        submissions: the submissions that `submissions.find` found.
        out: the folder of the results.
        plan: how they are marked.
        jobs: how many at a time.
        on_done: called with the number of finished submissions and the latest marks.

    Returns:
        the marks, in the order of the submissions.

    Raises:
        SeglibError: no sandbox, an unknown assignment, or a folder with results of another plan.
    """
    require_bubblewrap(plan.unsafe)
    if plan.assignment is not None:
        assignment_names([plan.assignment])
    saved_marks.keep_plan(out, plan)
    marks: dict[str, Marks] = {}
    missing = []
    for submission in submissions:
        if (saved := saved_marks.load(out, submission)) is not None:
            marks[submission.file_name] = saved
        else:
            missing.append(submission)
    for name in sorted({_name_of(submission, plan) for submission in missing} - {""}):
        check_reference(name, plan)
    for submission, found in mark_each(missing, plan, jobs):
        marks[submission.file_name] = found
        saved_marks.save(out, submission, found)
        on_done(len(marks), found)
    return [marks[submission.file_name] for submission in submissions]


def check_reference(name: str, plan: Plan) -> None:
    """Check that the reference earns full marks on this machine before anyone is marked.

    Raises:
        SeglibError: it does not, so the sandbox or the assignment is at fault.
    """
    master = master_of(name)
    marks = Marks("reference", name, plan.seed)
    mark(nbformat.writes(master).encode(), master, marks, limits=plan.limits, unsafe=plan.unsafe)
    if marks.line or marks.earned < marks.points:
        lost = [f"{task.cell}: {reason}" for task in marks.tasks for reason in task.reasons]
        raise SeglibError(
            f"nothing was marked, since the reference of {name} earns {marks.earned:g} of "
            f"{marks.points} points here: {marks.line or '; '.join(lost[:2])}"
        )


def _name_of(submission: Submission, plan: Plan) -> str:
    """The assignment of a submission, or "" if it has none."""
    try:
        return plan.assignment_of(submission.read())[0]
    except SeglibError:
        return ""
