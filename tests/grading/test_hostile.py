"""No hostile or broken notebook earns, breaks, delays or learns anything."""

from __future__ import annotations

import json
import os
import pkgutil
import tempfile
import time
from dataclasses import replace

import nbformat
import pytest

from seglib.grading import reports
from seglib.grading.isolation import bubblewrap
from seglib.grading.limits import Limits
from seglib.grading.marks import Marks
from seglib.grading.scoring import mark
from seglib.workshop.assignments import read_master, student_version
from tests.grading import hostile
from tests.grading.hostile import searching
from tests.grading.hostile.broken import NOTEBOOKS
from tests.grading.hostile.kinds import KINDS
from tests.helpers import ROOT

MASTER = read_master(ROOT / "tests" / "assignments_example" / "90_example.py")
MASTERS = ROOT / "lessons" / "source" / "assignments"
LIMITS = Limits(
    wall_seconds=90, cpu_seconds=60, cell_seconds=4, call_seconds=4, memory=1500 * 2**20
)
SEARCH = replace(LIMITS, cell_seconds=120, wall_seconds=300)
QUICK = {  # in `make test`; all others in `make test-all`
    "patching: allclose always true",
    "searching: masters on the disk",
}
HIDDEN_TEXT = ("torch.Generator", "expected tensor", "(-2, 0, 2, 1)")
needs_sandbox = pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")


def reference():
    return json.loads(nbformat.writes(MASTER))


def marked(data: bytes, limits: Limits = LIMITS) -> Marks:
    return mark(data, MASTER, Marks("eve", "90_example", 7), limits=limits)


def texts(marks: Marks) -> str:
    feedback = [reports.feedback_markdown(marks), reports.feedback_html(marks)]
    return "\n".join([*feedback, json.dumps(reports.gradescope(marks)), reports.junit([marks])])


def answer(source: str) -> bytes:
    notebook = reference()
    for cell in notebook["cells"]:
        if cell["id"] == "area":
            cell["source"] = source
    return json.dumps(notebook).encode("utf-8", "surrogatepass")


def with_speed(name: str):
    return pytest.param(name, id=name, marks=[] if name in QUICK else pytest.mark.slow)


@needs_sandbox
@pytest.mark.parametrize("name", [with_speed(n) for n in hostile.answers()])
def test_a_hostile_answer_earns_nothing(name, monkeypatch, tmp_path_factory):
    monkeypatch.setenv("SEGLIB_CANARY", "SECRET-5512")
    folder = tmp_path_factory.mktemp("s")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    environment = dict(os.environ)
    limits = SEARCH if name.startswith("searching") else LIMITS
    start = time.monotonic()
    marks = marked(answer(hostile.answers()[name]), limits)
    seconds = time.monotonic() - start
    area, centre = marks.tasks
    assert area.earned == 0, f"{name}: {area}"
    assert centre.earned in (0, 1)
    assert area.reasons, f"{name}: no reason is given"
    assert all(reason.strip() for reason in area.reasons)
    assert seconds < 4 * LIMITS.wall_seconds
    text = texts(marks)
    assert not any(word in text for word in (*HIDDEN_TEXT, "SECRET-5512", "Traceback"))
    page = reports.feedback_html(marks)  # results.json is declared to be plain text
    assert "<script" not in page + reports.feedback_markdown(marks)
    assert "<img" not in page
    if searching.TELL in hostile.answers()[name]:
        told = [d.partition("ValueError: ")[2] for d in area.details if "ValueError" in d]
        assert told, f"{name}: it did not search to its end: {area}"
        assert set(told) <= {"", "[]", "{}"}, f"{name}: {told}"
    assert list(folder.iterdir()) == []
    assert dict(os.environ) == environment


@needs_sandbox
@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_broken_notebook_gets_a_clear_line(name):
    make, said = NOTEBOOKS[name]
    marks = marked(make(reference()))
    assert marks.tasks[0].earned == 0, f"{name}: {marks}"
    assert sum(task.points for task in marks.tasks) == 3
    assert said in "\n".join([marks.line, *marks.notes]), f"{name}: {marks.line} {marks.notes}"
    assert "\n" not in marks.line


@needs_sandbox
def test_the_reference_earns_everything():
    marks = marked(json.dumps(reference()).encode(), Limits())
    assert (marks.earned, marks.points, marks.line, marks.notes) == (3, 3, "", [])


@needs_sandbox
@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(MASTERS.glob("[0-9]*.py")), ids=lambda path: path.stem)
def test_every_reference_earns_full_marks_and_every_stub_none(path):
    master = read_master(path)
    full = mark(nbformat.writes(master).encode(), master, Marks("ada", path.stem, 5))
    assert full.earned == full.points, [t.details for t in full.tasks if t.earned < t.points]
    stub = nbformat.writes(student_version(master)).encode()
    assert mark(stub, master, Marks("bob", path.stem, 5)).earned == 0


def test_the_corpus_is_large_enough():
    assert len(hostile.answers()) + len(NOTEBOOKS) >= 80
    assert set(hostile.answers()) >= QUICK


@pytest.mark.parametrize("kind", KINDS)
def test_the_corpus_contains_every_kind(kind):
    broken = {f"broken: {name}" for name in NOTEBOOKS}
    for name in KINDS[kind]:
        if name.startswith("tests."):  # of files rather than of notebooks
            assert callable(pkgutil.resolve_name(name)), f"{kind}: there is no {name}"
        else:
            assert name in hostile.answers().keys() | broken, f"{kind}: no entry is called {name!r}"
    assert KINDS[kind], f"no entry for {kind}"
