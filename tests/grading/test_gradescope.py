"""The autograder for Gradescope, in folders laid out as in Gradescope's containers.

/autograder/source        the unpacked zip file
/autograder/submission    what a student handed in
/autograder/results       where results.json is expected

The fields of results.json are those of https://gradescope-autograders.readthedocs.io/en/latest/specs
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from seglib.grading import reports
from seglib.grading.isolation import bubblewrap
from seglib.grading.marks import Marks, TaskMark
from tests.grading.class_of_five import NAME, submissions
from tests.helpers import run_cli

NUMBER = (int, float)
VISIBILITY = {"hidden", "after_due_date", "after_published", "visible"}
FORMATS = {"text", "html", "simple_format", "md", "ansi"}
OF_SUBMISSION = {
    "score": NUMBER,
    "execution_time": NUMBER,
    "output": str,
    "output_format": FORMATS,
    "test_output_format": FORMATS,
    "test_name_format": FORMATS,
    "visibility": VISIBILITY,
    "stdout_visibility": VISIBILITY,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
OF_TEST = {
    "score": NUMBER,
    "max_score": NUMBER,
    "status": {"passed", "failed"},
    "name": str,
    "name_format": FORMATS,
    "number": str,
    "output": str,
    "output_format": FORMATS,
    "tags": list,
    "visibility": VISIBILITY,
    "extra_data": dict,
}


def assert_fields(found: dict[str, object], documented: dict[str, object]) -> None:
    """Every field is documented, and has a value of its kind."""
    assert set(found) <= set(documented), f"not documented: {set(found) - set(documented)}"
    for name, value in found.items():
        kind = documented[name]
        right = value in kind if isinstance(kind, set) else isinstance(value, kind)
        assert right, f"{name}: {value!r}"


def assert_valid(results: dict[str, object]) -> None:
    """It is what Gradescope's documentation asks for."""
    assert_fields(results, OF_SUBMISSION)
    assert "score" in results
    for test in results.get("tests", []):
        assert_fields(test, OF_TEST)
        assert 0 <= test["score"] <= test["max_score"]


@pytest.fixture
def autograder(tmp_path: Path) -> Path:
    """The folder /autograder after the zip file was unpacked, with an empty submission."""
    archive = tmp_path / "autograder.zip"
    result = run_cli("assignments", "gradescope", "10", "--out", archive, "--seed", "5")
    assert result.exit_code == 0, result.output
    root = tmp_path / "autograder"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(root / "source")
        assert packed.getinfo("run_autograder").external_attr >> 16 == 0o755
        assert packed.getinfo("setup.sh").external_attr >> 16 == 0o755
    (root / "submission").mkdir()
    return root


def test_an_autograder_contains_its_own_assignment_only(autograder):
    script = (autograder / "source" / "run_autograder").read_text("utf-8")
    assert "--seed 5 " in script
    assert "--unsafe" not in script
    course = autograder / "source" / "course"
    masters = list(course.glob("lessons/source/assignments/*"))
    assert [path.name for path in masters] == [f"{NAME}.py"]
    assert (course / "seglib" / "grading" / "templates" / "feedback.md.j2").exists()


def script(path: Path, text: str) -> None:
    """Write an executable script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize("recent", [True, False])
def test_the_setup_installs_the_course(autograder, tmp_path, recent):
    """With stand-ins for apt-get, python3 and pip, which only note how they are called."""
    stand_ins, log = tmp_path / "bin", tmp_path / "log"
    script(stand_ins / "apt-get", f'echo apt-get "$@" >> {log}')
    new_enough = "true" if recent else "false"
    noted = f'echo python3 "$1" "$2" >> {log}'
    script(stand_ins / "python3", f'{noted}; [ "$1" = -m ] || {new_enough}')
    script(autograder / "venv" / "bin" / "pip", f'ls "$3" && echo pip "$@" >> {log}')
    environment = {"PATH": f"{stand_ins}:{os.environ['PATH']}", "AUTOGRADER": str(autograder)}
    command = ["bash", str(autograder / "source" / "setup.sh")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    called = log.read_text("utf-8")
    assert "apt-get install -y python3 python3-venv bubblewrap" in called
    assert done.returncode == (0 if recent else 1), done.stderr
    assert recent == ("pip install -c requirements.lock -e .[lab,grade]" in called)
    assert recent != ("choose a newer base image" in done.stdout)


def test_results_have_the_documented_fields():
    full = TaskMark("a-checks", "Task 1: areas", 2, 2.0, (3, 3), (4, 4))
    part = TaskMark("b-checks", "Task 2: boxes", 3, 0.75, (3, 4), (1, 4), ["the shape is [2]"])
    for tasks in ([full, part], []):
        marks = Marks("ada", "90_example", 5, line="Not marked: x.", tasks=tasks)
        assert_valid(json.loads(json.dumps(reports.gradescope(marks))))


@pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")
@pytest.mark.slow
@pytest.mark.parametrize("student", ["reference", "partly", "broken", "hostile", None])
def test_the_autograder_runs_as_gradescope_runs_it(autograder, student):
    if student:
        work = autograder / "submission" / "work.ipynb"
        work.write_text(submissions()[student], "utf-8")
    environment = {**os.environ, "AUTOGRADER": str(autograder), "PYTHON": sys.executable}
    command = ["bash", str(autograder / "source" / "run_autograder")]
    subprocess.run(command, cwd=autograder, env=environment, timeout=900, check=True)
    results = json.loads((autograder / "results" / "results.json").read_text("utf-8"))
    assert_valid(results)
    scores = {"reference": 12, "partly": 8, "broken": 0, "hostile": 0, None: 0}
    assert results["score"] == sum(t["score"] for t in results.get("tests", [])) == scores[student]
    said = {"broken": "not JSON", "hostile": "process ended", None: "no notebooks"}
    assert said.get(student, "") in results["output"]
    assert "HIDDEN TESTS" not in json.dumps(results)
