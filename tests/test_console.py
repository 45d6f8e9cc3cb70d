"""What reaches the console: one line for each failure, whatever the console can show or hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def seglib(*arguments: str, stdout: object = subprocess.PIPE, **environment: str):
    return subprocess.run(
        [sys.executable, "-m", "seglib.cli", *arguments],
        stdout=stdout,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "100", **environment},
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
@pytest.mark.parametrize("command", [("--help",), ("train", "--help"), ("results",)])
def test_a_console_of_few_characters_shows_the_rest_as_escapes(
    command: tuple[str, ...], encoding: str
) -> None:
    done = seglib(*command, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    assert done.returncode == 0, done.stderr.decode()
    assert len(done.stdout.decode(encoding)) > 200


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_output_that_cannot_be_written_is_reported_in_one_line() -> None:
    with open("/dev/full", "wb") as full:
        done = seglib("results", stdout=full)
    assert done.returncode == 1
    lines = done.stderr.decode().strip().splitlines()
    assert lines == ["error: the output: No space left on device"]


def test_a_closed_pipe_is_not_reported_as_a_failure() -> None:
    command = f"{sys.executable} -m seglib.cli results | head -1"
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, timeout=300, check=False, text=True
    )
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr == ""


def test_a_failure_of_the_system_names_the_file(tmp_path: Path) -> None:
    name = "a" * 300
    done = seglib("eval", "fcn", "--limit", "1", "--json", str(tmp_path / name))
    assert done.returncode == 1
    (line,) = [row for row in done.stderr.decode().splitlines() if row.startswith("error")]
    assert "File name too long" in line
    assert "Traceback" not in done.stderr.decode()
