"""A class is marked submission by submission: saved at once, resumed, and repeatable."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict

import nbformat
import psutil
import pytest
from typer.testing import CliRunner

from seglib.cli import app
from seglib.errors import SeglibError
from seglib.grading import classroom, isolation, workers
from seglib.grading.classroom import grade
from seglib.grading.limits import Limits
from seglib.grading.marks import TaskMark
from seglib.grading.plan import Plan
from seglib.grading.saved_marks import saved_seed
from seglib.grading.submissions import find
from seglib.workshop.assignments import read_master, student_version
from tests.helpers import ROOT

MASTER = read_master(ROOT / "lessons" / "source" / "assignments" / "10_solo.py")
REFERENCE = nbformat.writes(MASTER)
needs_sandbox = pytest.mark.skipif(
    isolation.bubblewrap() is None, reason="bubblewrap does not work here"
)


@pytest.fixture
def folder(tmp_path):
    """Five submissions: two references, a stub, a copy of the first, and a broken file."""
    (tmp_path / "class").mkdir()
    texts = {"ada": REFERENCE, "bob": nbformat.writes(student_version(MASTER)), "cy": REFERENCE}
    for name, text in {**texts, "dan": "not a notebook"}.items():
        (tmp_path / "class" / f"{name}.ipynb").write_text(text, encoding="utf-8")
    return tmp_path / "class"


@pytest.fixture
def marked(monkeypatch):
    """Marking without processes; returns the list of students that were marked."""
    done = []

    def fake(data, master, marks, **_options):
        done.append(marks.student)
        marks.tasks = [TaskMark("assign-checks", "Task 1", 4, len(data) % 4)]
        return marks

    def in_turn(submissions, plan, jobs):
        for submission in submissions:
            yield submission, workers.mark_one(submission, plan)

    monkeypatch.setattr(workers, "mark", fake)
    monkeypatch.setattr(classroom, "check_reference", lambda name, plan: None)
    monkeypatch.setattr(workers, "_in_pool", in_turn)
    return done


def test_saved_marks_are_not_marked_again(folder, tmp_path, marked):
    out, plan = tmp_path / "out", Plan("10", 3, unsafe=True)
    first = grade(find([folder]), out, plan)
    assert marked == ["ada", "bob", "cy", "dan"]
    (out / "marks" / "bob.json").unlink()
    (out / "marks" / "cy.json").write_text("{}", encoding="utf-8")
    (folder / "dan.ipynb").write_text("changed", encoding="utf-8")
    counts = []
    again = grade(find([folder]), out, plan, on_done=lambda done, _marks: counts.append(done))
    assert marked[4:] == ["bob", "cy", "dan"]
    assert counts == [2, 3, 4]
    assert [asdict(m) for m in again[:3]] == [asdict(m) for m in first[:3]]


@pytest.mark.parametrize("other", [Plan("10", 4, True), Plan("10", 3), Plan("02", 3, True)])
def test_a_folder_keeps_to_its_plan(folder, tmp_path, marked, monkeypatch, other):
    monkeypatch.setattr(classroom, "require_bubblewrap", lambda unsafe: None)
    grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    with pytest.raises(SeglibError, match="another run"):
        grade(find([folder]), tmp_path / "out", other)
    assert saved_seed(tmp_path / "out") == 3


def test_one_broken_submission_does_not_stop_the_class(folder, tmp_path, marked, monkeypatch):
    (folder / "ben.ipynb").write_text("break the process", encoding="utf-8")
    real = workers.mark_one

    def mark_one(submission, plan):
        if submission.student == "ben":
            raise BrokenProcessPool
        return real(submission, plan)

    monkeypatch.setattr(workers, "mark_one", mark_one)
    found = grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    assert [m.student for m in found] == ["ada", "ben", "bob", "cy", "dan"]
    assert found[1].line == "Not marked: the grader failed (its process ended)."
    assert sum(task.points for task in found[1].tasks) == 12
    assert sorted(marked) == ["ada", "bob", "cy", "dan"]


def test_a_mistake_of_the_grader_is_one_line(folder, tmp_path, marked, monkeypatch):
    monkeypatch.setattr(workers, "mark", lambda *_a, **_k: 1 / 0)
    found = grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    assert all("the grader failed (ZeroDivisionError" in m.line for m in found)


def test_what_the_grader_failed_on_is_tried_again(folder, tmp_path, marked, monkeypatch):
    with monkeypatch.context() as broken:
        broken.setattr(workers, "mark", lambda *_a, **_k: 1 / 0)
        grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    found = grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    assert [m.line for m in found] == [""] * 4


def test_what_takes_too_long_to_judge_is_stopped(folder, tmp_path, marked, monkeypatch):
    def slow(*_arguments, **_options):
        with contextlib.suppress(Exception):  # as a check might
            time.sleep(60)

    monkeypatch.setattr(workers, "mark", slow)
    monkeypatch.setattr(workers, "MAX_RUNS", -0.5)
    limits = Limits(wall_seconds=119.9)
    found = grade(find([folder]), tmp_path / "out", Plan("10", 3, True, limits))
    assert all("took too long to judge" in m.line for m in found)


def test_nothing_is_marked_if_the_reference_loses_points(folder, tmp_path, marked, monkeypatch):
    monkeypatch.undo()

    def zero(data, master, marks, **_options):
        marks.tasks = [TaskMark("assign-checks", "Task 1", 4, reasons=["no sandbox"])]
        return marks

    monkeypatch.setattr(classroom, "mark", zero)
    with pytest.raises(SeglibError, match="earns 0 of 4 points here: assign-checks: no sandbox"):
        grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    assert not (tmp_path / "out" / "marks").exists()


def test_the_assignment_is_recognised(folder, tmp_path, marked):
    found = grade(find([folder]), tmp_path / "out", Plan(None, 3, unsafe=True))
    assert [m.assignment for m in found] == ["10_solo"] * 3 + [""]
    assert "no answer cell of any assignment" in found[3].line


def test_without_bubblewrap_grading_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(isolation, "bubblewrap", lambda: None)
    with pytest.raises(SeglibError, match="--unsafe"):
        grade(find([folder]), tmp_path / "out", Plan("10", 3))
    assert not (tmp_path / "out").exists()
    result = CliRunner().invoke(app, ["grade", str(folder), "--out", str(tmp_path / "out")])
    assert result.exit_code == 1


def run_cli(*arguments, **options):
    command = [sys.executable, "-m", "seglib.cli", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, **options)


@needs_sandbox
@pytest.mark.slow
def test_a_killed_run_resumes_and_the_same_seed_gives_the_same_marks(folder, tmp_path):
    arguments = ["grade", folder, "-a", "10", "--seed", "3", "--jobs", "1", "--out"]
    out = tmp_path / "out"
    process = run_cli(*arguments, out, start_new_session=True)
    deadline = time.monotonic() + 900
    while not (saved := sorted((out / "marks").glob("*.json"))) and time.monotonic() < deadline:
        time.sleep(0.1)
    below = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(below, timeout=60)[1] == []
    first = {path.name: (path.stat().st_mtime_ns, path.read_text("utf-8")) for path in saved}
    assert 1 <= len(first) < 4
    assert run_cli(*arguments, out).wait(900) == 0
    assert run_cli(*arguments, tmp_path / "again").wait(900) == 0
    for name, (changed, text) in first.items():
        assert (out / "marks" / name).stat().st_mtime_ns == changed
        assert (tmp_path / "again" / "marks" / name).read_text("utf-8") == text
    for name in ("marks.csv", "junit.xml", "feedback/bob/feedback.md"):
        assert (out / name).read_text("utf-8") == (tmp_path / "again" / name).read_text("utf-8")
    rows = (out / "marks.csv").read_text("utf-8").splitlines()[1:]
    assert [row.split(",")[:3] for row in rows] == [
        ["ada", "10_solo", "12"],
        ["bob", "10_solo", "0"],
        ["cy", "10_solo", "12"],
        ["dan", "10_solo", "0"],
    ]
    assert "Identical answers: ada, cy." in (out / "summary.md").read_text("utf-8")


@needs_sandbox
@pytest.mark.slow
def test_check_runs_the_visible_checks(folder):
    home = {**os.environ, "XDG_DATA_HOME": str(folder)}
    process = run_cli("check", folder / "ada.ipynb", env=home)
    text = process.communicate(timeout=600)[0]
    assert process.returncode == 0, text
    assert "12 of 12 points on the visible checks" in text
    assert "hidden checks have not been run" in " ".join(text.split())
    process = run_cli("check", folder / "bob.ipynb", env=home)
    text = process.communicate(timeout=600)[0]
    assert process.returncode == 1
    assert "it is not written yet: replace `raise NotImplementedError`" in text
    assert "Traceback" not in text
    assert "12 of 12 points" in run_cli("progress", env=home).communicate(timeout=300)[0]


def test_marks_are_saved_as_json(folder, tmp_path, marked):
    grade(find([folder]), tmp_path / "out", Plan("10", 3, unsafe=True))
    record = json.loads((tmp_path / "out" / "marks" / "ada.json").read_text("utf-8"))
    assert record["marks"]["student"] == "ada"
    assert record["marks"]["seed"] == 3
