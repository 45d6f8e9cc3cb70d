"""Put a student's answers into the trusted notebook.

Of a submission only the source of its answer cells is used, found by cell id. All else, its other
cells, metadata, tags and outputs, is left behind. The notebook that runs in the student's process
contains the assignment's setup, the answers, and a last cell that answers the grader's calls;
the checks are not in it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import nbformat
from nbformat import NotebookNode

from seglib.errors import SeglibError

MAX_BYTES = 20 * 2**20  # of a notebook
MAX_CELLS = 2_000
OPENING = "opening"  # the first cell, which must not fail
SHOW = "see-it"  # cells whose ids begin so show pictures, and nothing depends on them
HIDDEN = re.compile(
    r"^### BEGIN HIDDEN TESTS$.*?^### END HIDDEN TESTS$\n?", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Answers:
    """What a student handed in.

    Attributes:
        sources: the text of each answer cell, by id.
        notes: what is unusual about the notebook, in whole sentences.
    """

    sources: dict[str, str]
    notes: list[str] = field(default_factory=list)


def is_answer(cell: NotebookNode) -> bool:
    """Whether students write this cell of a master."""
    return bool(cell.metadata.get("nbgrader", {}).get("solution"))


def is_checks(cell: NotebookNode) -> bool:
    """Whether this cell of a master is graded."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def is_setup(cell: NotebookNode) -> bool:
    """Whether this cell of a master is given code that answers and checks may use."""
    code = cell.cell_type == "code" and not cell.id.startswith(SHOW)
    return code and not is_answer(cell) and not is_checks(cell)


def functions_of(source: str) -> list[str]:
    """The functions that a cell defines at its top level; none if it is not Python."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def read_answers(data: bytes, master: NotebookNode) -> Answers:
    """Find the answers of a submission.

    Args:
        data: the content of its file.
        master: the assignment, from `read_master`.

    Raises:
        SeglibError: it is not a notebook, or not one of this assignment.
    """
    cells = list(_code_cells(data))
    answer_functions = {
        cell.id: functions_of(cell.source) for cell in master.cells if is_answer(cell)
    }
    answers = Answers({})
    for cell_id, functions in answer_functions.items():
        source = _find(cells, cell_id, functions, answers.notes)
        if source is not None:
            answers.sources[cell_id] = source
    if not answers.sources:
        raise SeglibError("it contains none of the answer cells of this assignment")
    for cell_id in answer_functions.keys() - answers.sources.keys():
        answers.notes.append(f"The answer cell {cell_id!r} is missing.")
    known = {cell.id for cell in master.cells}
    unused = [source for ids, source in cells if not ids & known and source.strip()]
    if unused:
        answers.notes.append(
            f"{len(unused)} code cells of your own were not run: an answer cell must contain "
            "everything that its answer needs."
        )
    return answers


def _find(
    cells: list[tuple[set[str], str]], cell_id: str, functions: list[str], notes: list[str]
) -> str | None:
    """The source of an answer: by the cell's id, else by the functions that it defines."""
    found = [source for ids, source in cells if cell_id in ids]
    if len(found) > 1:
        complete = [source for source in found if set(functions) <= set(functions_of(source))]
        found = complete or found
        notes.append(f"Several cells have the id {cell_id!r}: the first complete one was taken.")
    if not found:
        found = [source for _, source in cells if set(functions) <= set(functions_of(source))]
        found = found if functions else []
        if found:
            notes.append(
                f"No cell has the id {cell_id!r} any more: the first cell that defines "
                f"{' and '.join(functions)} was taken."
            )
    return found[0] if found else None


def _code_cells(data: bytes) -> Iterator[tuple[set[str], str]]:
    """The ids (its own and nbgrader's) and the source of each code cell."""
    if len(data) > MAX_BYTES:
        raise SeglibError(f"it is larger than {MAX_BYTES // 2**20} MiB: clear its outputs")
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SeglibError("it is not a notebook: its content is not JSON") from error
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise SeglibError(
            "it is not a notebook of format 4: open it in JupyterLab and save it again"
        )
    if len(notebook["cells"]) > MAX_CELLS:
        raise SeglibError(f"it has more than {MAX_CELLS} cells")
    for cell in notebook["cells"]:
        if isinstance(cell, dict) and cell.get("cell_type") == "code":
            yield _ids(cell), _text(cell.get("source"))


def _ids(cell: dict[str, Any]) -> set[str]:
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    return {name for name in (cell.get("id"), grade_id) if isinstance(name, str)}


def _text(source: Any) -> str:
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    text = source if isinstance(source, str) else ""
    return text.encode("utf-8", "replace").decode()  # no halves of surrogate pairs


def forbidden_calls(master: NotebookNode) -> dict[str, str]:
    """What each function of the students must not call, from `forbidden="…"` on its cell."""
    table: dict[str, str] = {}
    for cell in master.cells:
        if is_answer(cell) and cell.metadata.get("forbidden"):
            for function in functions_of(cell.source):
                table[function] = cell.metadata["forbidden"]
    return table


def splice(master: NotebookNode, answers: Answers, cell_seconds: float, seconds: float) -> str:
    """The notebook that runs in the student's process, as JSON text.

    Args:
        master: the assignment, from `read_master`.
        answers: the result of `read_answers`; a missing answer is left out.
        cell_seconds: the time for each answer.
        seconds: the time for each other cell; the last one answers the grader's calls.
    """
    opening = f"from seglib.grading.forbidden import forbid\nforbid({forbidden_calls(master)})"
    cells = [(OPENING, opening, seconds)]
    for cell in master.cells:
        if is_answer(cell) and cell.id in answers.sources:
            cells.append((cell.id, answers.sources[cell.id], cell_seconds))
        elif is_checks(cell):
            cells.append((f"{cell.id}-tools", tools_of(cell.source), seconds))
        elif is_setup(cell):
            cells.append((cell.id, cell.source, seconds))
    cells.append(("serve", "from seglib.grading.serve import serve\nserve(globals())", seconds))
    notebook = nbformat.v4.new_notebook(metadata=master.metadata)
    for count, (name, source, limit) in enumerate(cells, 1):
        cell = nbformat.v4.new_code_cell(source, id=f"c{count}", execution_count=count)
        cell.metadata = {"seconds": limit, "name": name}
        notebook.cells.append(cell)
    return json.dumps(notebook)


def tools_of(source: str) -> str:
    """The imports and functions of a checks cell that students see, which answers may use."""
    tree = ast.parse(HIDDEN.sub("", source))
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    return "\n\n".join(ast.unparse(node) for node in tree.body if isinstance(node, kinds))
