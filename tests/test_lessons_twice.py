"""Lessons bear readers who run a cell again: the checked outputs stay the same."""

from __future__ import annotations

import nbformat
import pytest

from tests import lesson_runs
from tests.helpers import ROOT

LESSONS = ROOT / "lessons"
NOTEBOOKS = sorted(path.stem for path in LESSONS.glob("[0-9]*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_cell_can_be_run_twice(name):
    stored = nbformat.read(LESSONS / f"{name}.ipynb", as_version=4)
    executed = lesson_runs.run(lesson_runs.twice(stored))
    complaints = lesson_runs.errors(executed) + lesson_runs.changed(executed, stored)
    assert not complaints, f"{name}:\n  " + "\n  ".join(complaints)


def test_a_cell_that_counts_its_runs_is_caught():
    code = nbformat.v4.new_code_cell
    cells = [
        code("count, text = 0, 'one'", id="start"),
        code("count += 1\nprint(count)", id="exact", metadata={"tags": ["nbval-check-output"]}),
        code("print(count + 0.01)", id="near", metadata={"tolerance": 0.1}),
        code("print(count)", id="free"),
        code("text = text.upper() if text else 1 / 0\nprint(text)\ntext = ''", id="broken"),
        code("print(object())", id="address", metadata={"tags": ["nbval-check-output"]}),
    ]
    notebook = lesson_runs.run(nbformat.v4.new_notebook(cells=cells))
    executed = lesson_runs.run(lesson_runs.twice(notebook))
    assert lesson_runs.errors(executed) == [
        "cell broken-again: ZeroDivisionError: division by zero"
    ]
    assert lesson_runs.changed(executed, notebook) == [
        "cell exact, second run: stored 1, got 2: they differ by more than 0.0",
        "cell near, first run: stored 1.01, got 2.01: they differ by more than 0.1",
        "cell near, second run: stored 1.01, got 2.01: they differ by more than 0.1",
    ]
    assert lesson_runs.errors(notebook) == []
