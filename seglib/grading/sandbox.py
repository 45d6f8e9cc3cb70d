"""Run a notebook where it can do no harm and learn nothing: isolation, limits and a watchdog.

What it can see is decided in `isolation`. What it may use is limited per process
(`inside.set_limits`) and for all of its processes together (`_watch`). Its processes end when the
grader ends, or when the grader stops them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

import seglib
from seglib.errors import SeglibError
from seglib.grading.isolation import command, environment, unsafe_command
from seglib.grading.limits import MIB, Limits
from seglib.grading.protocol import MAX_TEXT, valid_text


@dataclass
class Run:
    """A running notebook.

    Attributes:
        connection: the socket over which its last cell answers, or None if it never got that far.
        reason: why it did not reach its last cell, or was stopped; "" otherwise.
    """

    process: subprocess.Popen[bytes]
    connection: socket.socket | None = None
    reason: str = ""
    _printed: bytearray = field(default_factory=bytearray)

    def cells(self) -> dict[str, str]:
        """The cells that failed, by id, with nbval's message for each."""
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
    """Keep the beginning of the output, and discard the rest."""
    assert run.process.stdout is not None
    with contextlib.suppress(ValueError, OSError):
        while part := os.read(run.process.stdout.fileno(), 2**16):
            run._printed += part[: max(limit - len(run._printed), 0)]


def _watch(run: Run, limits: Limits) -> None:
    """End the run when its processes together exceed a limit."""
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
