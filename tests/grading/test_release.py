"""What instructors hand out contains what it should, and no more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile

import nbformat
import pytest
from typer.testing import CliRunner

from seglib.cli import app
from seglib.grading.sandbox import bubblewrap
from seglib.workshop.assignments import read_master
from tests.helpers import ROOT

MASTER = ROOT / "lessons" / "source" / "assignments" / "10_solo.py"


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


def test_an_autograder_contains_its_own_assignment_only(tmp_path):
    run("assignments", "gradescope", "10", "--out", tmp_path / "a.zip", "--seed", "5")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
        assert names[:2] == ["setup.sh", "run_autograder"]
        assert archive.getinfo("run_autograder").external_attr >> 16 == 0o755
        assert "--seed 5 " in archive.read("run_autograder").decode()
        assert "--unsafe" not in archive.read("run_autograder").decode()
        masters = [name for name in names if "/assignments/" in name]
        assert masters == ["course/lessons/source/assignments/10_solo.py"]
        assert "course/seglib/grading/templates/feedback.md.j2" in names


@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")
@pytest.mark.slow
@pytest.mark.parametrize("handed_in", [True, False])
def test_the_autograder_runs_as_gradescope_runs_it(tmp_path, handed_in):
    run("assignments", "gradescope", "10", "--out", tmp_path / "a.zip", "--seed", "5")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        archive.extractall(tmp_path / "source")
    (tmp_path / "submission").mkdir()
    if handed_in:
        nbformat.write(read_master(MASTER), tmp_path / "submission" / "work.ipynb")
    environment = {**os.environ, "AUTOGRADER": str(tmp_path), "PYTHON": sys.executable}
    script = tmp_path / "source" / "run_autograder"
    subprocess.run(["bash", str(script)], env=environment, timeout=900, check=True)
    results = json.loads((tmp_path / "results" / "results.json").read_text("utf-8"))
    assert results["score"] == (12 if handed_in else 0)
    assert handed_in == ("tests" in results)
    assert handed_in or "no notebooks" in results["output"]
