"""The checks of each assignment catch wrong solutions, and accept the right one.

`python -m tests.assignments.wrong_table` prints what a learner sees of each.
"""

from __future__ import annotations

import re

import pytest

from seglib.workshop.assignments import read_master
from tests.assignments import trying
from tests.assignments.wrong_table import markdown, shares
from tests.helpers import ROOT

NAMES = trying.master_names()
FOLDER = ROOT / "tests" / "assignments" / "wrong"
FAULTS_PER_TASK = 8
VISIBLE, TOGETHER = 0.85, 0.98


def test_each_assignment_has_a_file_of_wrong_solutions():
    assert sorted(path.stem for path in FOLDER.glob("[0-9]*.py")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_task_has_wrong_solutions(name):
    _, tasks = trying.split_tasks(read_master(trying.MASTERS / f"{name}.py"))
    table = trying.wrong_solutions(name)
    known = {cell.id for task in tasks for cell in task.cells}
    assert set(table) <= known, f"{name} has no cells {sorted(set(table) - known)}"
    for task in tasks:
        count = sum(len(table.get(cell.id, ())) for cell in task.cells)
        assert count >= FAULTS_PER_TASK, f"{name}, {task.title}: {count} wrong solutions"


@pytest.mark.parametrize("name", NAMES)
def test_checks_catch_wrong_solutions(name):
    found = list(trying.trials(name))
    missed = [f"{trial.cell}: {trial.fault}" for trial in found if trial.caught == "none"]
    hidden = [f"{trial.cell}: {trial.fault}" for trial in found if trial.caught == "hidden"]
    visible, together = shares(found)
    assert visible >= VISIBLE, f"{name}: visible checks catch {visible:.0%}; not: {hidden + missed}"
    assert together >= TOGETHER, f"{name}: no check catches {missed}"
    broken = [trial.fault for trial in found if re.match(r"(Syntax|Name)Error", trial.message)]
    assert not broken, f"{name}: wrong in another way than they say: {broken}"
    unsaid = [trial.fault for trial in found if trial.caught != "none" and not trial.message]
    assert not unsaid, f"{name}: caught without a message: {unsaid}"


@pytest.mark.parametrize("name", NAMES)
def test_checks_pass_what_the_introduction_promises(name):
    """Solutions get floats of the types that it names: where it names none, of both."""
    introduction = read_master(trying.MASTERS / f"{name}.py").cells[0].source
    if promised := set(re.findall(r"float\d+", introduction)):
        assert trying.float_types(name) == promised
    else:
        with trying.default_float64():
            assert "float64" in trying.float_types(name)


def test_a_wrong_solution_that_no_longer_fits_is_reported():
    _, tasks = trying.split_tasks(read_master(trying.MASTERS / f"{NAMES[0]}.py"))
    cell = tasks[0].cells[0]
    with pytest.raises(ValueError, match=f"{cell.id!r} no longer contains 'what is not there'"):
        trying.replaced(tasks[0].cells, cell.id, "what is not there", "")


def test_the_table_shows_fault_and_message():
    found = [
        trying.Trial("Task 1: areas", "area", "adds the sides", "visible", "ValueError: a | b"),
        trying.Trial("Task 1: areas", "area", "always 12", "none", ""),
    ]
    text = markdown("90_example", found)
    assert "2 wrong solutions; visible checks catch 50%, with the hidden ones 50%." in text
    assert "| Task 1: areas | area | adds the sides | visible | ValueError: a \\| b |" in text
