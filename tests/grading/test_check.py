"""`seglib check`: its exit codes and points, as students and GitHub Classroom use them."""

from __future__ import annotations

import pytest

from seglib.grading import check as checking
from seglib.grading import progress
from seglib.grading.marks import Marks, TaskMark
from tests.helpers import assert_refused, run_cli


def check(monkeypatch, tmp_path, earned: list[float], *options: str, line: str = ""):
    """Check a notebook of which the grader says that it earned this in cells of 2 points."""
    tasks = [TaskMark(f"cell{n}", f"Task {n}: x", 2, e) for n, e in enumerate(earned)]
    marks = Marks("me", "90_example", 0, line=line, tasks=tasks)
    monkeypatch.setattr(checking, "check_notebook", lambda path, assignment: marks)
    monkeypatch.setattr(progress, "record_file", lambda: tmp_path / "progress.json")
    return run_cli("check", "me.ipynb", *options)


@pytest.mark.parametrize(
    ("earned", "code", "said"),
    [
        ([2.0, 2.0], 0, "4 of 4 points"),
        ([2.0, 0.5], 1, "2.5 of 4 points"),
        ([0.0, 0.0], 1, "0 of 4 points"),
    ],
)
def test_the_exit_code_is_0_only_for_full_points(monkeypatch, tmp_path, earned, code, said):
    result = check(monkeypatch, tmp_path, earned)
    assert result.exit_code == code
    assert f"{said} on the visible checks" in result.output
    assert "hidden checks have not been run" in " ".join(result.output.split())


@pytest.mark.parametrize(("cell", "code"), [("cell0", 0), ("cell1", 1)])
def test_one_checks_cell_has_an_exit_code_of_its_own(monkeypatch, tmp_path, cell, code):
    result = check(monkeypatch, tmp_path, [2.0, 0.5], "--cell", cell)
    assert result.exit_code == code
    assert f"({cell})" in result.output
    assert f"{'2' if code == 0 else '0.5'} of 2 points on the visible checks" in result.output
    assert list(progress.read(tmp_path / "progress.json")["90_example"]) == ["cell0", "cell1"]


def test_an_unknown_checks_cell_is_refused(monkeypatch, tmp_path):
    result = check(monkeypatch, tmp_path, [2.0, 2.0], "--cell", "cell7")
    assert_refused(result, "no checks cell 'cell7'; it has cell0, cell1")


def test_what_cannot_be_marked_fails(monkeypatch, tmp_path):
    result = check(monkeypatch, tmp_path, [], line="Not marked: it is not a notebook.")
    assert result.exit_code == 1
    assert "Not marked: it is not a notebook." in result.output
    assert not (tmp_path / "progress.json").exists()


def test_a_notebook_that_does_not_exist_is_refused(tmp_path):
    assert_refused(run_cli("check", tmp_path / "none.ipynb"), "cannot read")
    assert run_cli("check").exit_code == 2
