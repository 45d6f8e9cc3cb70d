"""Every wrong solution loses marks, with a reason; the reference loses none, whatever the seed.

The functions run in this process: what travels between processes is tested elsewhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import io

import pytest
import torch

from seglib.grading.cases import NOT_REACHED, run_cell
from seglib.grading.marks import TaskMark
from seglib.grading.scoring import fill_in
from seglib.workshop.assignments import read_master
from tests.assignments import trying

LOSE, NAMED = 0.98, 0.95


def fresh(seed):
    return int.from_bytes(hashlib.sha256(f"11:{seed}".encode()).digest()[:4], "big")


def marks_of(cells, names):
    """The marks of a task's checks cells."""
    names = dict(names)
    marks = []
    for cell in cells:
        if not trying.is_checks(cell):
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(cell.source, cell.id, "exec"), names)
            continue
        cases = run_cell(cell.source, names, fresh)
        if "manual_seed" in cell.source and "HIDDEN TESTS" not in cell.source:
            cases += run_cell(cell.source, names, fresh, all_hidden=True)
        marks.append(TaskMark(cell.id, "", cell.metadata["nbgrader"]["points"]))
        fill_in(marks[-1], cases)
    return marks


@pytest.mark.slow
@pytest.mark.parametrize("name", trying.master_names())
def test_wrong_solutions_lose_marks_and_the_reference_none(name):
    table = trying.wrong_solutions(name)
    before, tasks = trying.split_tasks(read_master(trying.MASTERS / f"{name}.py"))
    names = {"__name__": name}
    trying.run_cells(before, names)
    kept, unnamed, count = [], [], 0
    for task in tasks:
        for mark in marks_of(task.cells, names):
            assert mark.earned == mark.points, f"{name}: the reference loses {mark}"
        for cell in task.cells:
            for fault, (right, wrong) in table.get(cell.id, {}).items():
                torch.manual_seed(0)
                count += 1
                marks = marks_of(trying.replaced(task.cells, cell.id, right, wrong), names)
                lost = [mark for mark in marks if mark.earned < mark.points]
                kept += [] if lost else [f"{cell.id}: {fault}"]
                reasons = [r for mark in lost for r in mark.reasons if r != NOT_REACHED]
                unnamed += [] if reasons else [f"{cell.id}: {fault}"]
        trying.run_cells(task.cells, names)
    assert len(kept) <= (1 - LOSE) * count, f"{name}: full marks for {kept}"
    assert len(unnamed) <= (1 - NAMED) * count, f"{name}: no reason for {unnamed}"
    print(f"{name}: {count} wrong solutions, {count - len(kept)} lose marks")
