"""Build student notebooks from assignment masters, with nbgrader's own preprocessors.

A master is a text file, `lessons/source/assignments/NN_name.py`, in jupytext's percent
format. It contains tasks, solutions, visible checks and hidden checks. The student notebook
is the same without the solutions and hidden checks, and with the visible checks locked.
"""

from __future__ import annotations

import copy
from pathlib import Path

from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.workshop.build import build_lesson, lesson_names, lessons_folder
from seglib.workshop.execute import write_notebook

try:
    from nbgrader import preprocessors
    from nbgrader.nbgraderformat import ValidationError
except ModuleNotFoundError as missing:  # pragma: no cover - a wheel without the grade extra
    raise SeglibError(
        f"assignments need the package {missing.name!r}: pip install 'seglib[grade]'"
    ) from missing

# What the shorthand on a cell marker means in nbgrader's terms: (grade, solution, locked).
ROLES = {
    "solution": (False, True, False),
    "checks": (True, False, True),
    "locked": (False, False, True),
}


def assignment_names(names: list[str] | None = None) -> list[str]:
    """Resolve numbers or names of assignments; None means all of them.

    Raises:
        SeglibError: a name matches no master, or several.
    """
    return lesson_names(names, lessons_folder() / "source" / "assignments")


def build(names: list[str] | None = None) -> list[Path]:
    """Write the student notebooks to `lessons/assignments/`.

    Args:
        names: numbers or names ("02"); None means all assignments.

    Returns:
        the files, in order; a file that is up to date is not touched.

    Raises:
        SeglibError: a master has malformed markers or metadata.
    """
    folder = lessons_folder()
    files = []
    for name in assignment_names(names):
        master = read_master(folder / "source" / "assignments" / f"{name}.py")
        files.append(folder / "assignments" / f"{name}.ipynb")
        write_notebook(student_version(master), files[-1])
    return files


def read_master(path: Path) -> NotebookNode:
    """The master as a notebook, with solutions, hidden checks and complete nbgrader metadata.

    Args:
        path: a percent-format text whose graded cells are marked `nbgrader="solution"`,
            `nbgrader="checks" points=N` or `nbgrader="locked"`.

    Raises:
        SeglibError: an unknown role, checks without points, or fewer than two tasks.
    """
    notebook = build_lesson(path)
    for cell in notebook.cells:
        _expand_role(cell, path.name)
    roles = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    tasks = sum(bool(role.get("solution")) for role in roles)
    checks = sum(bool(role.get("grade")) for role in roles)
    if min(tasks, checks) < 2:
        raise SeglibError(
            f"{path.name} has {tasks} solution cells and {checks} checks cells: an assignment "
            "needs at least two tasks, each with its checks"
        )
    return notebook


def _expand_role(cell: NotebookNode, file: str) -> None:
    """Replace the marker's shorthand by nbgrader's full metadata."""
    role = cell.metadata.get("nbgrader")
    if role is None or isinstance(role, dict):
        return
    if role not in ROLES:
        raise SeglibError(
            f"{file}: cell {cell.id!r} has nbgrader={role!r}: choose one of {', '.join(ROLES)}"
        )
    grade, solution, locked = ROLES[role]
    metadata = {
        "grade": grade,
        "grade_id": cell.id,
        "locked": locked,
        "schema_version": 3,
        "solution": solution,
        "task": False,
    }
    points = cell.metadata.pop("points", None)
    if grade:
        if not isinstance(points, int) or points < 1:
            raise SeglibError(f"{file}: the checks cell {cell.id!r} needs points=N on its marker")
        metadata["points"] = points
    cell.metadata["nbgrader"] = metadata


def student_version(master: NotebookNode, *, keep_hidden: bool = False) -> NotebookNode:
    """The notebook for students: stubs in place of solutions, checks locked, none hidden.

    Args:
        master: from `read_master`; it is not changed.
        keep_hidden: keep the hidden checks, to test that a stub fails them too.

    Raises:
        SeglibError: an unclosed or misplaced BEGIN/END marker, or malformed metadata.
    """
    notebook = copy.deepcopy(master)
    steps = [preprocessors.LockCells(), preprocessors.ClearSolutions(), preprocessors.ClearOutput()]
    if not keep_hidden:
        steps.append(preprocessors.ClearHiddenTests())
    steps += [preprocessors.ComputeChecksums(), preprocessors.CheckCellMetadata()]
    try:
        for step in steps:
            notebook, _ = step.preprocess(notebook, {})
    except (RuntimeError, ValidationError) as error:
        raise SeglibError(f"the assignment master is malformed: {error}") from error
    return notebook
