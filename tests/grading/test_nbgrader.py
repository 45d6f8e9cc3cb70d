"""An assignment goes through nbgrader's own commands, and the marks agree with `seglib grade`."""

from __future__ import annotations

import csv
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seglib.grading.isolation import bubblewrap
from tests.grading.class_of_five import NAME, submissions
from tests.helpers import ROOT

MISSING = "the command nbgrader is not installed: pip install 'seglib[grade]'"
STUDENTS = ("partly", "reference")


def run(folder: Path, *command: object) -> None:
    """Run a command of Python in a folder, without the settings of whoever runs the tests."""
    places = {"JUPYTER_CONFIG_DIR": folder / "jupyter", "IPYTHONDIR": folder / "ipython"}
    environment = {**os.environ, **{name: str(place) for name, place in places.items()}}
    environment |= {"PYTHONPATH": str(ROOT), "SEGLIB_DATASET": "pocket"}
    # nbgrader calls alembic by its name, as an activated environment has it.
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    line = [sys.executable, "-m", *map(str, command)]
    done = subprocess.run(
        line, cwd=folder, env=environment, capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stdout + done.stderr


def rows(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by student."""
    with path.open(encoding="utf-8", newline="") as stream:
        table = list(csv.DictReader(stream))
    return {row.get("student") or row["student_id"]: row for row in table}


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("nbgrader") is None, reason=MISSING)
@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")
def test_nbgrader_gives_the_marks_of_what_passes_completely(tmp_path):
    """nbgrader's marks are all or nothing per checks cell; `seglib grade` adds parts to them."""
    source = Path("source", NAME, f"{NAME}.ipynb")
    run(tmp_path, "seglib.cli", "assignments", "solution", NAME, "--hidden", "--out", source)
    run(tmp_path, "nbgrader", "generate_assignment", NAME)
    run(tmp_path, "seglib.cli", "assignments", "release", NAME, "--out", "students")
    released = (tmp_path / "release" / NAME / f"{NAME}.ipynb").read_text("utf-8")
    assert released == (tmp_path / "students" / f"{NAME}.ipynb").read_text("utf-8")

    texts = submissions()
    for student in STUDENTS:
        folder = tmp_path / "submitted" / student / NAME
        folder.mkdir(parents=True)
        (folder / f"{NAME}.ipynb").write_text(texts[student], encoding="utf-8")
    for command in ("autograde", "generate_feedback"):
        run(tmp_path, "nbgrader", command, NAME)
    run(tmp_path, "nbgrader", "export", "--to", "grades.csv")
    run(tmp_path, "seglib.cli", "grade", "submitted", "-a", NAME, "--seed", 3, "--out", "graded")

    theirs, ours = rows(tmp_path / "grades.csv"), rows(tmp_path / "graded" / "nbgrader.csv")
    cells = rows(tmp_path / "graded" / "marks.csv")
    points = {name: float(value) for name, value in cells["reference"].items() if "-checks" in name}
    assert list(theirs) == list(ours) == list(STUDENTS)
    assert theirs["reference"] == ours["reference"]
    assert theirs["reference"]["score"] == "12.0"
    for student in STUDENTS:
        assert list(theirs[student]) == list(ours[student])
        complete = [most for name, most in points.items() if float(cells[student][name]) == most]
        assert float(theirs[student]["score"]) == sum(complete)
        assert float(theirs[student]["score"]) <= float(ours[student]["score"])
        page = (tmp_path / "feedback" / student / NAME / f"{NAME}.html").read_text("utf-8")
        assert f"Score: {theirs[student]['score']} / 12.0" in page
    assert 0 < float(theirs["partly"]["score"]) < 12
