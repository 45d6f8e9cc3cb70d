"""The sandbox hides everything but what a notebook needs, and says why a run ended."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import pytest

from seglib.errors import SeglibError
from seglib.grading import sandbox
from seglib.grading.isolation import bubblewrap, command
from seglib.grading.limits import Limits
from seglib.grading.marks import Marks
from seglib.grading.sandbox import running
from seglib.grading.scoring import mark
from seglib.workshop.assignments import read_master
from tests.helpers import ROOT

needs_sandbox = pytest.mark.skipif(bubblewrap() is None, reason="bubblewrap does not work here")
EMPTY = nbformat.writes(nbformat.v4.new_notebook())


@needs_sandbox
def test_nothing_of_the_checkout_but_the_package_is_visible(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_GRADER", "1")
    (tmp_path / "notebook.ipynb").write_text(EMPTY, encoding="utf-8")
    line = command(tmp_path, Limits())
    program = line.index(sys.executable)
    look = "import os; print(sorted(os.listdir('/'))); print(os.listdir('/course'), os.getpid());"
    look += "print(sorted(os.environ)); print(os.listdir('/submission'), os.path.exists(%r))"
    inside = [*line[:program], sys.executable, "-I", "-c", look % str(ROOT / "lessons")]
    shown = subprocess.run(inside, capture_output=True, text=True, timeout=300, env={}).stdout
    folders, course, names, submission = shown.splitlines()
    assert not {"'home'", "'var'", "'run'", "'mnt'"} & set(folders.strip("[]").split(", "))
    assert course.startswith("['seglib'] ")
    assert int(course.split()[-1]) < 10
    assert "SECRET" not in names
    assert submission == "['notebook.ipynb'] False"


@needs_sandbox
@pytest.mark.parametrize(
    "attempt",
    [
        "open('/x', 'w')",
        "open('/course/seglib/x.py', 'w')",
        "open('/submission/x', 'w')",
        "__import__('socket').create_connection(('127.0.0.1', 22), 1)",
        "__import__('os').kill(__import__('os').getppid(), 0) or open('/proc/sysrq-trigger', 'w')",
    ],
)
def test_nothing_can_be_written_or_reached(tmp_path, attempt):
    line = command(tmp_path, Limits())
    program = line.index(sys.executable)
    inside = [*line[:program], sys.executable, "-I", "-c", attempt]
    done = subprocess.run(inside, capture_output=True, text=True, timeout=300, env={})
    assert done.returncode == 1
    assert "OSError" in done.stderr or "Error: [Errno" in done.stderr


@pytest.mark.parametrize(
    ("memory", "processes", "reason"),
    [(2**40, 1, "memory"), (0, 10_000, "processes"), (0, 1, "ran longer")],
)
def test_the_watchdog_says_why_a_run_ended(monkeypatch, memory, processes, reason):
    monkeypatch.setattr(sandbox, "_usage", lambda _pid: (memory, processes))
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    run = sandbox.Run(process)
    start = time.monotonic()
    sandbox._watch(run, Limits(wall_seconds=0.1))
    assert time.monotonic() - start < 30
    assert reason in run.reason
    assert process.poll() is not None


def test_what_the_notebook_prints_is_only_a_hint():
    lines = [
        b'{"cell": "a", "message": "SyntaxError"}',
        b"[1]",
        b"\xff",
        b"[" * 9999,
        b'{"cell": 1}',
    ]
    run = sandbox.Run(SimpleNamespace(), _printed=bytearray(b"\n".join(lines)))
    assert run.cells() == {"a": "SyntaxError"}


def test_a_system_without_unix_sockets_is_named(monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(SeglibError, match="subsystem for Linux"), running(EMPTY, Limits()):
        pass


@pytest.mark.slow
def test_without_a_sandbox_the_marks_are_the_same_and_say_so():
    master = read_master(ROOT / "tests" / "assignments_example" / "90_example.py")
    data = json.dumps(json.loads(nbformat.writes(master))).encode()
    marks = mark(data, master, Marks("ada", "90_example", 1), unsafe=True)
    assert (marks.earned, marks.points, marks.line) == (3, 3, "")
    assert not marks.sandboxed
