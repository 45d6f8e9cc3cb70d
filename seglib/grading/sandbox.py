"""Run a notebook where it can do no harm and learn nothing: bubblewrap, limits and a watchdog.

The process sees the system's libraries, Python, the package `seglib` and its own notebook, all
read-only, and an empty /tmp in memory. It has no network, no environment variables, no view of
other processes and no rights. What it may use is limited per process (`inside.set_limits`) and
for all of its processes together (`_watch`); when the grader ends or has enough, it ends too.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import seglib
from seglib.errors import SeglibError
from seglib.grading.protocol import MAX_TEXT, valid_text
from seglib.grading.serve import CHANNEL

MIB = 2**20
SPACES = ("user", "ipc", "pid", "net", "uts", "cgroup-try")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64")
SETTINGS = ("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/alternatives", "/etc/fonts")
NO_BUBBLEWRAP = (
    "grading needs bubblewrap, which keeps a submission away from your files and the network, and "
    "it is not installed or not allowed here: install the package bubblewrap (Debian, Ubuntu, "
    "Fedora), use the container that the instructor's guide describes (macOS, Windows), or, for "
    "submissions that you trust, pass --unsafe"
)


@dataclass(frozen=True)
class Limits:
    """What a submission may use.

    Attributes:
        wall_seconds: for one run of its notebook, with all calls of its functions.
        cpu_seconds: of each process.
        cell_seconds: for each of its cells.
        call_seconds: for each call of one of its functions.
        memory: bytes of all processes together.
        files: bytes of all that it writes; of each file a quarter.
        processes: at one time, threads included.
        output: bytes that are read of what it prints; the rest is thrown away.
    """

    wall_seconds: float = 600.0
    cpu_seconds: int = 120
    cell_seconds: float = 60.0
    call_seconds: float = 40.0
    memory: int = 3000 * MIB
    files: int = 256 * MIB
    processes: int = 256
    output: int = 2**18

    def of_process(self) -> dict[str, int]:
        """The limits of each process, by the names of `setrlimit`."""
        return {
            "CPU": self.cpu_seconds,
            "DATA": self.memory,
            "FSIZE": self.files // 4,
            "NOFILE": 512,
            "NPROC": self.processes,
            "CORE": 0,
        }


@functools.cache
def bubblewrap() -> str | None:
    """The path of a bubblewrap that works here, or None."""
    path = shutil.which("bwrap")
    if path is None:
        return None
    trial = [path, *(f"--unshare-{space}" for space in SPACES), "--ro-bind", "/", "/"]
    trial += ["--proc", "/proc", "--dev", "/dev"]  # what containers forbid, if not told otherwise
    trial += [sys.executable, "-I", "-S", "-c", ""]
    try:
        done = subprocess.run(trial, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return path if done.returncode == 0 else None


def require_bubblewrap(unsafe: bool) -> None:
    """Refuse to go on without a sandbox.

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
    return [*line, *program, json.dumps(limits.of_process()), "/submission/notebook.ipynb"]


def unsafe_command(folder: Path, limits: Limits) -> list[str]:
    """The command that runs the notebook without a sandbox."""
    program = Path(__file__).with_name("inside.py")
    given = {name: value for name, value in limits.of_process().items() if name != "NPROC"}
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


@dataclass
class Run:
    """A running notebook.

    Attributes:
        connection: the socket over which its last cell answers, or None if it never came so far.
        reason: why it did not come, or was ended; "" while all is well.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket | None = None
    reason: str = ""
    _printed: bytearray = field(default_factory=bytearray)

    def cells(self) -> dict[str, str]:
        """The cells that failed, by id, with what nbval says of each."""
        found = {}
        for line in bytes(self._printed).decode(errors="replace").splitlines():
            try:
                record = json.loads(line)
                found[str(record["cell"])] = valid_text(str(record["message"]), MAX_TEXT)
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
        return found


@contextlib.contextmanager
def running(notebook: str, limits: Limits, *, unsafe: bool = False) -> Iterator[Run]:
    """Run a notebook, and wait until its last cell connects or it ends.

    Args:
        notebook: its JSON text; the last cell calls `serve`.
        limits: what it may use.
        unsafe: run it without bubblewrap.

    Raises:
        SeglibError: this system has no sockets of the kind that the two processes need.
    """
    if not hasattr(socket, "AF_UNIX"):
        raise SeglibError("this needs Linux or macOS: on Windows, use its subsystem for Linux")
    with tempfile.TemporaryDirectory(prefix="seglib-") as name, socket.socket(socket.AF_UNIX) as s:
        folder = Path(name)
        (folder / "notebook.ipynb").write_text(notebook, "utf-8")
        s.bind(str(folder / "channel"))
        s.listen(1)
        line = unsafe_command(folder, limits) if unsafe else command(folder, limits)
        library = str(Path(seglib.__file__).parents[1])
        process = subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(library, name, name) if unsafe else {},
            start_new_session=True,
        )
        run = Run(process)
        threads = [
            threading.Thread(target=_read, args=(run, limits.output), daemon=True),
            threading.Thread(target=_watch, args=(run, limits), daemon=True),
        ]
        for thread in threads:
            thread.start()
        try:
            run.connection = _accept(s, run, limits.wall_seconds)
            yield run
        finally:
            if run.connection is not None:
                run.connection.close()
            _end(process)
            for thread in threads:
                thread.join(5)


def _accept(listening: socket.socket, run: Run, seconds: float) -> socket.socket | None:
    """The connection of the notebook's last cell; None once its process has ended."""
    deadline = time.monotonic() + seconds
    listening.settimeout(0.2)
    while time.monotonic() < deadline:
        try:
            return listening.accept()[0]
        except TimeoutError:
            if run.process.poll() is not None:
                run.reason = run.reason or "the notebook's process ended before its last cell"
                return None
    run.reason = f"the notebook did not reach its last cell within {seconds:.0f} s"
    return None


def _read(run: Run, limit: int) -> None:
    """Keep the beginning of what is printed, and throw away the rest."""
    assert run.process.stdout is not None
    with contextlib.suppress(ValueError, OSError):
        while part := os.read(run.process.stdout.fileno(), 2**16):
            run._printed += part[: max(limit - len(run._printed), 0)]


def _watch(run: Run, limits: Limits) -> None:
    """End the run when all of its processes together use more than they may."""
    deadline = time.monotonic() + limits.wall_seconds
    while run.process.poll() is None:
        memory, processes = _usage(run.process.pid)
        if time.monotonic() > deadline:
            run.reason = f"it ran longer than {limits.wall_seconds:.0f} s"
        elif memory > limits.memory:
            run.reason = f"it used more than {limits.memory // MIB} MiB of memory"
        elif processes > limits.processes:
            run.reason = f"it started more than {limits.processes} processes"
        else:
            time.sleep(0.2)
            continue
        return _end(run.process)
    return None


def _usage(pid: int) -> tuple[int, int]:
    """Bytes of memory and number of processes of a process and all that it started."""
    memory = processes = 0
    with contextlib.suppress(psutil.Error):
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            with contextlib.suppress(psutil.Error):
                used = process.memory_info()
                memory += used.rss - getattr(used, "shared", 0)
                processes += 1
    return memory, processes


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the sandbox: with its first process, all processes of its namespace end."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(psutil.Error):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.Error):
                child.kill()
    process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
