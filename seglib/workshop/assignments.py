"""Student notebooks from assignment masters, with nbgrader's own preprocessors.

A master is one text file, `lessons/source/assignments/NN_name.py`, in jupytext's percent
format. It holds tasks, solutions, visible checks and hidden checks; what students get is
the same notebook with solutions and hidden checks taken out and the checks locked.
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

# What the shorthand on a cell marker stands for: (grade, solution, locked).
ROLES = {
    "solution": (False, True, False),
    "checks": (True, False, True),
    "locked": (False, False, True),
}


def assignment_names(names: list[str] | None = None) -> list[str]:
    """Resolve numbers or names of assignments; None means every one.

    Raises:
        SeglibError: a name that fits no master.
    """
    return lesson_names(names, lessons_folder() / "source" / "assignments")


def build(names: list[str] | None = None) -> list[Path]:
    """Write the student notebooks to `lessons/assignments/`.

    Args:
        names: numbers or names ("02"); None means every assignment.

    Returns:
        the files, in order; a file that is already right is left alone.

    Raises:
        SeglibError: a master with broken markers or metadata.
    """
    folder = lessons_folder()
    files = []
    for name in assignment_names(names):
        master = solved(folder / "source" / "assignments" / f"{name}.py")
        files.append(folder / "assignments" / f"{name}.ipynb")
        write_notebook(student(master), files[-1])
    return files


def solved(master: Path) -> NotebookNode:
    """The master as a notebook: solutions and hidden checks in place, metadata complete.

    Args:
        master: a percent-format text whose graded cells carry `nbgrader="solution"`,
            `nbgrader="checks" points=N` or `nbgrader="locked"`.

    Raises:
        SeglibError: an unknown role, checks without points, fewer than two tasks.
    """
    notebook = build_lesson(master)
    for cell in notebook.cells:
        _expand(cell, master.name)
    roles = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    tasks = sum(bool(role.get("solution")) for role in roles)
    checks = sum(bool(role.get("grade")) for role in roles)
    if min(tasks, checks) < 2:
        raise SeglibError(
            f"{master.name}: {tasks} solution and {checks} checks cells; an assignment has at "
            "least two tasks, each with its checks"
        )
    return notebook


def _expand(cell: NotebookNode, file: str) -> None:
    """Write nbgrader's full metadata in the place of the marker's shorthand."""
    role = cell.metadata.get("nbgrader")
    if role is None or isinstance(role, dict):
        return
    if role not in ROLES:
        raise SeglibError(f"{file}: cell {cell.id!r} has nbgrader={role!r}; one of {list(ROLES)}")
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
            raise SeglibError(f"{file}: the checks {cell.id!r} need points=N on their marker")
        metadata["points"] = points
    cell.metadata["nbgrader"] = metadata


def student(master: NotebookNode, *, keep_hidden: bool = False) -> NotebookNode:
    """What students get: stubs for solutions, checks locked, hidden checks gone.

    Args:
        master: from `solved`; it is not changed.
        keep_hidden: leave the hidden checks in, to test that a stub fails them too.

    Raises:
        SeglibError: an unclosed or misplaced BEGIN/END marker, malformed metadata.
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
