"""Run an assignment in a fresh kernel and see which of its checks hold."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

from nbclient import NotebookClient
from nbformat import NotebookNode

from seglib.workshop.build import lessons_folder
from seglib.workshop.execute import CELL_SECONDS, kernel_environment


@dataclass(frozen=True)
class CheckResult:
    """One checks cell after a run.

    Attributes:
        grade_id: the id of the cell.
        points: what it is worth.
        error: "Type: message" of what it raised, or None if it passed.
    """

    grade_id: str
    points: int
    error: str | None


def run_checks(notebook: NotebookNode, folder: Path | None = None) -> list[CheckResult]:
    """Execute every cell, errors included, and report the graded ones.

    For notebooks one trusts (masters and stubs); grading submissions needs more.

    Args:
        notebook: from `solved` or `student`; it is not changed.
        folder: the kernel's working folder; `lessons/assignments` by default.

    Returns:
        one CheckResult for each graded cell, in order.
    """
    notebook = copy.deepcopy(notebook)
    client = NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        allow_errors=True,
        extra_arguments=["--log-level=40"],
        resources={"metadata": {"path": str(folder or lessons_folder() / "assignments")}},
    )
    client.execute(env=kernel_environment("pocket"))
    graded = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade")]
    return [CheckResult(c.id, c.metadata["nbgrader"]["points"], _error(c)) for c in graded]


def _error(cell: NotebookNode) -> str | None:
    for output in cell.outputs:
        if output.output_type == "error":
            return f"{output.ename}: {output.evalue}"
    return None
