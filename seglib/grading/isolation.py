"""Isolate a submission with bubblewrap: the commands that run it, and all that it can see.

The process sees the system's libraries, Python, the package `seglib` and its own notebook, all
read-only, and an empty /tmp in memory. It has no network, none of the grader's environment
variables, no view of other processes and no rights.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import seglib
from seglib.errors import SeglibError
from seglib.grading.limits import Limits
from seglib.grading.protocol import CHANNEL

SPACES = ("user", "ipc", "pid", "net", "uts", "cgroup-try")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives", "/etc/fonts")
NO_BUBBLEWRAP = (
    "grading needs bubblewrap, which keeps a submission away from your files and the network, and "
    "it is not installed or not allowed here: install the package bubblewrap (Debian, Ubuntu, "
    "Fedora), use the container that the instructor's guide describes (macOS, Windows), or, for "
    "submissions that you trust, pass --unsafe"
)


@functools.cache
def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here, or None."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    trial = [path, *(f"--unshare-{space}" for space in SPACES), "--ro-bind", "/", "/"]
    trial += ["--proc", "/proc", "--dev", "/dev"]  # containers forbid these by default
    trial += [sys.executable, "-I", "-S", "-c", ""]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None


def require_bubblewrap(unsafe: bool) -> None:
    """Refuse to continue without a sandbox.

    Raises:
        SeglibError: there is no bubblewrap, and `unsafe` is False.
    """
    if not unsafe and bubblewrap() is None:
        raise SeglibError(NO_BUBBLEWRAP)


def command(folder: Path, limits: Limits) -> list[str]:
    """The bubblewrap command that runs `folder`/notebook.ipynb, with `folder` at /submission."""
    path = bubblewrap()
    assert path is not None
    line = [path, *(f"--unshare-{space}" for space in SPACES)]
    line += ["--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox"]
    for place in SYSTEM:
        if os.path.islink(place):
            line += ["--symlink", os.readlink(place), place]
        elif os.path.isdir(place):
            line += ["--ro-bind", place, place]
    for setting in SETTINGS:
        line += ["--ro-bind-try", setting, setting]
    for place in sorted({sys.base_prefix, sys.prefix}):
        if not place.startswith("/usr"):
            line += ["--ro-bind", place, place]
    line += ["--ro-bind", str(Path(seglib.__file__).parent), "/course/seglib"]
    line += ["--proc", "/proc", "--dev", "/dev"]
    for place in ("/tmp", "/dev/shm"):
        line += ["--size", str(limits.files // 2), "--tmpfs", place]
    line += ["--ro-bind", str(folder), "/submission", "--remount-ro", "/dev", "--remount-ro", "/"]
    line += ["--chdir", "/tmp", "--clearenv"]
    for name, value in environment("/course", "/tmp", "/submission").items():
        line += ["--setenv", name, value]
    program = [sys.executable, "/course/seglib/grading/inside.py"]
    return [*line, *program, json.dumps(limits.per_process()), "/submission/notebook.ipynb"]


def unsafe_command(folder: Path, limits: Limits) -> list[str]:
    """The command that runs the notebook without a sandbox."""
    program = Path(__file__).with_name("inside.py")
    given = {name: value for name, value in limits.per_process().items() if name != "NPROC"}
    return [sys.executable, str(program), json.dumps(given), str(folder / "notebook.ipynb")]


def environment(library: str, home: str, submission: str) -> dict[str, str]:
    """All environment variables of the process."""
    return {
        CHANNEL: f"{submission}/channel",
        "PATH": "/usr/bin:/bin",
        "HOME": home,
        "LANG": "C.UTF-8",
        "PYTHONPATH": library,
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "OMP_NUM_THREADS": "1",
        "MPLBACKEND": "agg",
    }
