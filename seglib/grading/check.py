"""Check a student's own notebook before it is handed in: only the visible checks run."""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode

from seglib.errors import SeglibError, printable
from seglib.grading.isolation import bubblewrap
from seglib.grading.marks import Marks
from seglib.grading.plan import Plan
from seglib.grading.scoring import mark
from seglib.workshop.assignments import student_version
from seglib.workshop.build import lessons_folder


def check_notebook(path: Path, assignment: str | None) -> Marks:
    """Run the visible checks of a student's own notebook, in a sandbox if there is one.

    The checks are those of the course; where only the notebook is at hand, they are its own.

    Raises:
        SeglibError: the file is not a notebook of an assignment.
    """
    plan = Plan(assignment, 0, unsafe=bubblewrap() is None)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SeglibError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        lessons_folder()
    except SeglibError:
        name, version = path.stem, _own_checks(data, path)
    else:
        name, master = plan.assignment_of(data)
        version = student_version(master)
    marks = Marks(printable(path.stem), name, plan.seed)
    return mark(data, version, marks, limits=plan.limits, unsafe=plan.unsafe, fresh=False)


def _own_checks(data: bytes, path: Path) -> NotebookNode:
    try:
        return nbformat.reads(data.decode(), as_version=4)
    except Exception as error:  # nbformat raises many kinds of errors for other files
        raise SeglibError(f"{path} is not a notebook: save it again in JupyterLab") from error
