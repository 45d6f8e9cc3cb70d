"""Try the checks of an assignment against wrong solutions, in this process.

A wrong solution is the reference with a piece of its text replaced. It is run up to the checks of
its task, first the visible ones, and the hidden ones too if the visible ones accept it.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import io
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

import torch
from nbformat import NotebookNode
from torch import Tensor
from torch.utils._pytree import tree_leaves

from seglib.workshop.assignments import read_master
from tests.helpers import ROOT

MASTERS = ROOT / "lessons" / "source" / "assignments"
HIDDEN = re.compile(
    r"^### BEGIN HIDDEN TESTS$.*?^### END HIDDEN TESTS$\n?", re.DOTALL | re.MULTILINE
)
SHOW = "see-it"  # cells with ids that begin so show shipped networks, and nothing depends on them
Names = dict[str, Any]
Faults = dict[str, dict[str, tuple[str, str]]]


@dataclass(frozen=True)
class Task:
    """The cells from one heading "Task N" to the next.

    Attributes:
        title: "Task 1: run lengths, there and back".
        cells: its code cells, in order.
    """

    title: str
    cells: list[NotebookNode]


@dataclass(frozen=True)
class Trial:
    """What the checks said of one wrong solution.

    Attributes:
        task: the title of its task.
        cell: the id of the solution's cell.
        fault: what is wrong with it, in words.
        caught: "visible", "hidden" or "none".
        message: the first line of what a learner sees; empty if it was not caught.
    """

    task: str
    cell: str
    fault: str
    caught: str
    message: str


def wrong_solutions(name: str) -> Faults:
    """The table of an assignment: cell -> fault -> (text of the solution, replacement)."""
    faults: Faults = importlib.import_module(f"tests.assignments.wrong.{name}").WRONG
    return faults


def split_tasks(notebook: NotebookNode) -> tuple[list[NotebookNode], list[Task]]:
    """The code cells before the first task, and the tasks."""
    before: list[NotebookNode] = []
    tasks: list[Task] = []
    for cell in notebook.cells:
        heading = re.match(r"## (Task \d+: .*)", cell.source)
        if cell.cell_type == "markdown" and heading:
            tasks.append(Task(heading[1], []))
        elif cell.cell_type == "code" and not cell.id.startswith(SHOW):
            (tasks[-1].cells if tasks else before).append(cell)
    return before, tasks


def is_checks(cell: NotebookNode) -> bool:
    """Whether a cell is graded."""
    return bool(cell.metadata.get("nbgrader", {}).get("grade"))


def run_cells(cells: list[NotebookNode], names: Names, *, hidden: bool = True) -> str:
    """Run cells in these names, which they change, and return what they print."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells:
            source = cell.source if hidden else HIDDEN.sub("", cell.source)
            exec(compile(source, cell.id, "exec"), names)
    return printed.getvalue()


def replaced(cells: list[NotebookNode], cell_id: str, right: str, wrong: str) -> list[NotebookNode]:
    """The same cells with a piece of one replaced.

    Raises:
        ValueError: the piece is not in the cell: the reference solution has changed.
    """
    changed = []
    for cell in cells:
        if cell.id == cell_id:
            if right not in cell.source:
                raise ValueError(f"the solution {cell_id!r} no longer contains {right!r}")
            cell = NotebookNode(cell, source=cell.source.replace(right, wrong))
        changed.append(cell)
    return changed


def complaint(cells: list[NotebookNode], names: Names, *, hidden: bool) -> str | None:
    """The first line of the error that these cells end with, as a notebook shows it; or None."""
    torch.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it is wrong, so it may well be warned of something
            run_cells(cells, dict(names), hidden=hidden)
    except Exception as error:  # what a learner's code raises is shown to the learner as it is
        lines = str(error).splitlines() or [""]
        return f"{type(error).__name__}: {lines[0]}"
    return None


def trials(name: str) -> Iterator[Trial]:
    """Try every wrong solution of an assignment; the reference passes each task on the way.

    Args:
        name: the master's, without suffix.

    Raises:
        AssertionError: the reference fails.
        ValueError: a wrong solution replaces a text that the reference does not contain.
    """
    table = wrong_solutions(name)
    before, tasks = split_tasks(read_master(MASTERS / f"{name}.py"))
    names: Names = {"__name__": name}
    run_cells(before, names)
    for task in tasks:
        for cell in task.cells:
            for fault, (right, wrong) in table.get(cell.id, {}).items():
                cells = replaced(task.cells, cell.id, right, wrong)
                yield Trial(task.title, cell.id, fault, *judge(cells, names))
        run_cells(task.cells, names)


def float_types(name: str) -> set[str]:
    """Run the reference, and name the types of all floats that its functions are given.

    Raises:
        AssertionError: the reference fails.
    """
    before, tasks = split_tasks(read_master(MASTERS / f"{name}.py"))
    names: Names = {"__name__": name}
    found: set[str] = set()
    run_cells(before, names)
    for cell in (cell for task in tasks for cell in task.cells):
        earlier = dict(names)
        run_cells([cell], names)
        if not is_checks(cell):
            for key, value in names.items():
                if isinstance(value, FunctionType) and earlier.get(key) is not value:
                    names[key] = _noting(value, found)
    return found


def _noting(function: FunctionType, found: set[str]) -> Callable[..., Any]:
    """The same function, adding the types of the floats that it is given to `found`."""

    @functools.wraps(function)
    def noting(*arguments: Any, **named: Any) -> Any:
        for value in tree_leaves((arguments, named)):
            if isinstance(value, Tensor) and value.is_floating_point():
                found.add(str(value.dtype).removeprefix("torch."))
        return function(*arguments, **named)

    return noting


@contextlib.contextmanager
def default_float64() -> Iterator[None]:
    """Within it, checks that do not name a type make float64."""
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def judge(cells: list[NotebookNode], names: Names) -> tuple[str, str]:
    """Who catches a wrong solution, the visible checks, the hidden ones or none, and how."""
    for hidden, by in ((False, "visible"), (True, "hidden")):
        if message := complaint(cells, names, hidden=hidden):
            return by, message
    return "none", ""


def master_names() -> list[str]:
    """The names of all masters, in order."""
    return sorted(path.stem for path in MASTERS.glob("[0-9]*.py"))
