"""Build student notebooks from assignment masters, with nbgrader's own preprocessors.

A master is a text file, `lessons/source/assignments/NN_name.py`, in jupytext's percent
format. It contains tasks, solutions, visible checks and hidden checks. The student notebook
is the same without the solutions and hidden checks, and with the visible checks locked.
"""

from __future__ import annotations

import copy
import re
from difflib import get_close_matches
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
        f"assignments need the package {missing.name!r}: in the checkout, run "
        "pip install -e '.[grade]'"
    ) from missing

# What the shorthand on a cell marker means in nbgrader's terms: (grade, solution, locked).
ROLES = {
    "solution": (False, True, False),
    "checks": (True, False, True),
    "locked": (False, False, True),
}


SHORT_LINE = 8  # characters; such a line, as "else:", gives nothing away

# Each block of a master that students must not see: the role of its cell, and how it is marked.
BLOCKS = {"solution": "SOLUTION", "checks": "HIDDEN TESTS"}
MARKERS = [f"### {edge} {block}" for block in BLOCKS.values() for edge in ("BEGIN", "END")]


def assignment_names(names: list[str] | None = None) -> list[str]:
    """Resolve numbers or names of assignments; None means all of them.

    Raises:
        SeglibError: a name matches no master, or several.
    """
    return lesson_names(names, lessons_folder() / "source" / "assignments")


def master_path(name: str) -> Path:
    """The master of an assignment, by its whole name."""
    return lessons_folder() / "source" / "assignments" / f"{name}.py"


def build(names: list[str] | None = None) -> list[Path]:
    """Write the student notebooks to `lessons/assignments/`.

    Args:
        names: numbers or names ("02"); None means all assignments.

    Returns:
        the files, in order; a file that is up to date is not touched.

    Raises:
        SeglibError: a master has malformed markers or metadata, or a line of a solution or of a
            hidden check would be in the student notebook.
    """
    files = []
    for name in assignment_names(names):
        master = read_master(master_path(name))
        student = student_version(master)
        if leaked := leaked_lines(master, student):
            raise SeglibError(
                f"{name}: students would see the hidden line {leaked[0]!r}: check its markers"
            )
        files.append(lessons_folder() / "assignments" / f"{name}.ipynb")
        write_notebook(student, files[-1])
    return files


def read_master(path: Path) -> NotebookNode:
    """The master as a notebook, with solutions, hidden checks and complete nbgrader metadata.

    Args:
        path: a percent-format text whose graded cells are marked `nbgrader="solution"`,
            `nbgrader="checks" points=N` or `nbgrader="locked"`.

    Raises:
        SeglibError: an unknown role, checks without points, fewer than two tasks, or a marker
            that is misspelt, misplaced or unpaired.
    """
    notebook = build_lesson(path)
    for cell in notebook.cells:
        role = cell.metadata.get("nbgrader")
        _expand_role(cell, path.name)
        _check_markers(cell, role, path.name)
    roles = [cell.metadata.get("nbgrader", {}) for cell in notebook.cells]
    tasks = sum(bool(role.get("solution")) for role in roles)
    checks = sum(bool(role.get("grade")) for role in roles)
    if min(tasks, checks) < 2:
        raise SeglibError(
            f"{path.name} has {tasks} solution cells and {checks} checks cells: an assignment "
            "needs at least two tasks, each with its checks"
        )
    return notebook


def _check_markers(cell: NotebookNode, role: str | None, file: str) -> None:
    """Refuse markers that nbgrader would miss or misunderstand."""
    where = f"{file}: cell {cell.id!r}"
    found = []
    for line in cell.source.splitlines():
        if line.strip() in MARKERS:
            found.append(line.strip())
        elif meant := _meant_marker(line):
            raise SeglibError(f"{where} has {line.strip()!r}: write {meant!r}")
    block = BLOCKS.get(role or "")
    pair = [] if block is None else [f"### BEGIN {block}", f"### END {block}"]
    required = 1 if role == "solution" else 0  # checks may all be visible
    if found != pair * max(required, len(found) // 2):
        needed = " before ".join(map(repr, pair)) or "none"
        raise SeglibError(
            f"{where} has the markers {', '.join(map(repr, found)) or 'none'}; it needs {needed}"
        )


def _meant_marker(line: str) -> str | None:
    """The marker that a comment almost matches, or None."""
    comment = re.match(r"\s*#+\s*(.*)", line)
    if comment is None:
        return None
    matches = get_close_matches(f"### {comment[1].upper().strip()}", MARKERS, n=1, cutoff=0.8)
    return matches[0] if matches else None


def leaked_lines(master: NotebookNode, student: NotebookNode) -> list[str]:
    """Lines of the master's solutions and hidden checks that are in the student notebook.

    Short lines, and lines that the master also shows elsewhere, do not count.
    """
    hidden: set[str] = set()
    shown: set[str] = set()
    for cell in master.cells:
        inside = False
        for line in map(str.strip, cell.source.splitlines()):
            if line in MARKERS:
                inside = line.startswith("### BEGIN")
            else:
                (hidden if inside else shown).add(line)
    student_lines = {line.strip() for cell in student.cells for line in cell.source.splitlines()}
    return sorted(line for line in hidden & student_lines - shown if len(line) > SHORT_LINE)


def _expand_role(cell: NotebookNode, file: str) -> None:
    """Replace the marker's shorthand by nbgrader's full metadata."""
    role = cell.metadata.get("nbgrader")
    if role is None:
        return
    if not isinstance(role, str) or role not in ROLES:
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
        if type(points) is not int or points < 1:
            raise SeglibError(f"{file}: the checks cell {cell.id!r} needs points=N on its marker")
        metadata["points"] = points
    cell.metadata["nbgrader"] = metadata


def student_version(master: NotebookNode, *, keep_hidden: bool = False) -> NotebookNode:
    """The notebook for students: stubs in place of solutions, checks locked, none hidden.

    Args:
        master: a notebook from `read_master`; it is not changed.
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


def without_hidden_checks(master: NotebookNode) -> NotebookNode:
    """The notebook with its solutions, but without hidden checks."""
    notebook, _ = preprocessors.ClearHiddenTests().preprocess(copy.deepcopy(master), {})
    return notebook
