"""Locks between processes: one writer of a folder at a time."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from seglib.atomic import make_folder
from seglib.errors import SeglibError

log = logging.getLogger(__name__)


class BusyError(SeglibError):
    """Another process, or another thread of this one, holds the lock."""


@contextmanager
def locked(path: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file for the duration of a `with` block; the same thread may enter again.

    The file names the process and its machine and is removed at the end. The operating system
    releases the lock of a process that dies, so a file left by `kill -9` blocks nobody.

    Args:
        path: the lock file; its folder is created if necessary, and removed if it stays empty.
        wait: wait for the other process to finish, and log that; otherwise raise an error.

    Raises:
        BusyError: another process holds the lock, and `wait` is off.
        SeglibError: the file cannot be written.
    """
    is_new = not path.parent.exists()
    make_folder(path.parent)
    lock = FileLock(path, is_singleton=True)  # one for each thread, counting its entries
    try:
        _acquire(lock, path, wait)
        yield
    finally:
        _release(lock, path)
        if is_new:
            with suppress(OSError):
                path.parent.rmdir()


def _acquire(lock: FileLock, path: Path, wait: bool) -> None:
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            message = f"{path.parent} is in use by {_holder(path)}"
            if not wait:
                raise BusyError(message) from None
            log.warning(f"{message}: waiting for it to finish")
            lock.acquire()
        if lock.lock_counter == 1:
            path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    except OSError as error:
        raise SeglibError(f"cannot write {path}: {error.strerror or error}") from error


def _release(lock: FileLock, path: Path) -> None:
    if lock.lock_counter == 1:
        with suppress(OSError):  # Windows keeps a file that is open
            path.unlink()  # before the release, so that nobody else's is removed
    lock.release()


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another process"
    except (OSError, ValueError):
        return "another process"
