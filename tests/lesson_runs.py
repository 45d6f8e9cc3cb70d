"""Execute lessons in other ways than readers do first: cells twice, and on other data."""

from __future__ import annotations

import copy
import re
from configparser import ConfigParser
from functools import cache

from nbformat import NotebookNode

from seglib.workshop.build import lessons_folder
from seglib.workshop.execute import kernel_environment, notebook_client
from seglib.workshop.nbval_plugin import difference, text_of
from seglib.workshop.normalise import normalise
from tests.helpers import ROOT
from tests.lesson_guards import code_cells

AGAIN = "-again"
MAX_ID = 64 - len(AGAIN)


def run(notebook: NotebookNode, dataset: str = "pocket") -> NotebookNode:
    """A copy of the notebook, executed to its end, also after errors, and normalised."""
    notebook = copy.deepcopy(notebook)
    options = {"allow_errors": True, "record_timing": False, "coalesce_streams": True}
    client = notebook_client(notebook, lessons_folder(), **options)
    client.execute(env=kernel_environment(dataset))
    return normalise(notebook, root=lessons_folder().parent)


def errors(notebook: NotebookNode) -> list[str]:
    """The cells that raised an exception, and which."""
    return [
        f"cell {cell.id}: {output.ename}: {output.evalue}"
        for cell in code_cells(notebook)
        for output in cell.outputs
        if output.output_type == "error"
    ]


def twice(notebook: NotebookNode) -> NotebookNode:
    """A copy in which each code cell is followed by itself, without outputs."""
    notebook = copy.deepcopy(notebook)
    cells = []
    for cell in notebook.cells:
        cells.append(cell)
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cells.append(copy.deepcopy(cell))
            cells[-1].id = cell.id[:MAX_ID] + AGAIN
    notebook.cells = cells
    return notebook


def is_compared(cell: NotebookNode) -> bool:
    """Whether nbval compares the cell's output with the stored one."""
    tags = cell.metadata.get("tags", [])
    return "tolerance" in cell.metadata or "nbval-check-output" in tags


def changed(executed: NotebookNode, stored: NotebookNode) -> list[str]:
    """What differs from the stored outputs when each cell is run twice.

    Args:
        executed: what `twice` made of `stored`, executed.
        stored: the lesson with its outputs.
    """
    found = {cell.id: cell for cell in executed.cells}
    complaints = []
    for cell in filter(is_compared, code_cells(stored)):
        expected = sanitized(text_of(cell.outputs))
        for cell_id, count in ((cell.id, "first"), (cell.id[:MAX_ID] + AGAIN, "second")):
            got = sanitized(text_of(found[cell_id].outputs))
            problem = difference(got, expected, cell.metadata.get("tolerance", 0.0))
            if problem:
                complaints.append(f"cell {cell.id}, {count} run: {problem}")
    return complaints


@cache
def _sanitizers() -> list[tuple[str, str]]:
    """What nbval replaces in outputs before it compares them."""
    rules = ConfigParser(interpolation=None)
    rules.read(ROOT / "tests" / "nbval_sanitize.cfg")
    return [(rules[name]["regex"], rules[name]["replace"]) for name in rules.sections()]


def sanitized(text: str) -> str:
    """The text without what may differ between two runs."""
    for pattern, replacement in _sanitizers():
        text = re.sub(pattern, replacement, text)
    return text
