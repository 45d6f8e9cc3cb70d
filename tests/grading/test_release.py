"""What instructors hand out contains what it should, and no more."""

from __future__ import annotations

import re
import zipfile

import nbformat
import pytest
from typer.testing import CliRunner

from seglib.cli import app
from seglib.workshop.assignments import leaked_lines, read_master, student_version
from tests.helpers import ROOT


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_release_is_what_students_need(tmp_path):
    run("assignments", "release", "10", "02", "--out", tmp_path / "students")
    run("assignments", "release", "10", "02", "--out", tmp_path / "students.zip")
    files = sorted(path.name for path in (tmp_path / "students").iterdir())
    assert files == ["02_convolution.ipynb", "10_solo.ipynb"]
    with zipfile.ZipFile(tmp_path / "students.zip") as archive:
        for file in files:
            text = archive.read(file).decode()
            assert text == (tmp_path / "students" / file).read_text("utf-8")
            assert "HIDDEN TESTS" not in text
            assert "BEGIN SOLUTION" not in text
            assert "raise NotImplementedError" in text


@pytest.mark.parametrize("hidden", [False, True])
def test_a_solution_is_a_notebook(tmp_path, hidden):
    options = ["--hidden"] if hidden else []
    run("assignments", "solution", "10", "--out", tmp_path / "s.ipynb", *options)
    text = nbformat.writes(nbformat.read(tmp_path / "s.ipynb", as_version=4))
    assert "owners = torch.full" in text
    assert ("BEGIN HIDDEN TESTS" in text) == hidden


def test_the_assignment_in_the_guide_is_complete(tmp_path):
    """It can be built, its solution passes the checks, and its stub does not."""
    guide = (ROOT / "book" / "instructor.md").read_text("utf-8")
    (example,) = re.findall(r"^```python\n(# %%.*?)^```", guide, re.DOTALL | re.MULTILINE)
    (tmp_path / "90_boxes.py").write_text(example, "utf-8")
    master = read_master(tmp_path / "90_boxes.py")
    assert leaked_lines(master, student_version(master)) == []
    names: dict[str, object] = {}
    for cell in master.cells:
        if cell.cell_type == "code":
            exec(cell.source, names)
    stub = student_version(master, keep_hidden=True)
    names = {}
    for cell in stub.cells:
        if cell.metadata.get("nbgrader", {}).get("grade"):
            with pytest.raises(NotImplementedError):
                exec(cell.source, names)
        elif cell.cell_type == "code":
            exec(cell.source, names)
