"""Run an assignment in a fresh kernel and report which of its checks pass."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from seglib.workshop.build import lessons_folder
from seglib.workshop.execute import kernel_environment, notebook_client


@dataclass(frozen=True)
class CheckResult:
    """The outcome of one checks cell.

    Attributes:
        grade_id: the id of the cell.
        points: what passing it is worth.
        error: "Type: message" of the exception it raised, or None if it passed.
    """

    grade_id: str
    points: int
    error: str | None


def run_checks(notebook: NotebookNode, folder: Path | None = None) -> list[CheckResult]:
    """Execute every cell, also after an error, and report the graded ones.

    Only for notebooks you trust (masters and stubs): a submission could defeat its own checks, so
    `seglib.grading` runs those.

    Args:
        notebook: the result of `read_master` or `student_version`; it is not changed.
        folder: the kernel's working folder; `lessons/assignments` by default.

    Returns:
        one CheckResult per graded cell, in order.
    """
    notebook = copy.deepcopy(notebook)
    folder = folder or lessons_folder() / "assignments"
    client = notebook_client(notebook, folder, allow_errors=True)
    client.execute(env=kernel_environment("pocket"))
    graded = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
    return [CheckResult(c.id, c.metadata["nbgrader"]["points"], _error(c)) for c in graded]


def _error(cell: NotebookNode) -> str | None:
    for output in cell.outputs:
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
    return None
