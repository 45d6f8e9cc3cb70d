"""What several test files share: golden vectors, the command line, waiting for a process."""

from __future__ import annotations

import subprocess
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

from seglib.cli import app

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = ROOT / "tests" / "golden"
# How long a test waits for what should happen at once. It bounds hangs and says nothing about
# speed: on a busy machine, seconds become minutes.
HANG_SECONDS = 20 * 60

Case = dict[str, dict[str, np.ndarray]]


def golden(topic: str) -> dict[str, Case]:
    """Read tests/golden/<topic>.npz as cases[case][role][name].

    Roles are "par" (scalars and small parameters), "in" (inputs) and "out" (expected outputs);
    every case has all three, empty if the file stores none. Arrays are float32 or int64.
    """
    cases: dict[str, Case] = defaultdict(lambda: {"par": {}, "in": {}, "out": {}})
    with np.load(GOLDEN / f"{topic}.npz") as arrays:
        for key in arrays.files:
            case, role, name = key.split(".", 2)
            cases[case][role][name] = arrays[key]
    return dict(cases)


def golden_tensors(topic: str, case: str) -> tuple[dict[str, Tensor], ...]:
    """One case of `golden` as tensors: parameters, inputs and expected outputs."""
    roles = golden(topic)[case]
    return tuple(
        {name: torch.from_numpy(array) for name, array in roles[role].items()}
        for role in ("par", "in", "out")
    )


def run_cli(*arguments: object) -> Result:
    """Run `seglib …` in this process; an error must be an exit code, never a traceback."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result


def assert_refused(result: Result, message: str) -> None:
    """The command failed with exactly one error line, and that line contains the message."""
    assert result.exit_code == 1, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert message in errors[0]


def wait_until(reached: Callable[[], bool], child: subprocess.Popen[bytes]) -> None:
    """Wait for something that a running child process does; fail if the child ends first."""
    deadline = time.monotonic() + HANG_SECONDS
    while not reached():
        assert child.poll() is None, f"the child ended first, with exit code {child.returncode}"
        assert time.monotonic() < deadline, "the child hangs"
        time.sleep(0.002)
