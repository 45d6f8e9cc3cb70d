"""Write files atomically: completely or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from seglib.errors import SeglibError

_HOST = hashlib.sha256(socket.gethostname().encode()).hexdigest()[:6]


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write to a temporary file beside `path`, then rename it to `path`.

    Readers find either the old file or the new one, even if the process is killed. If `write`
    fails, the temporary file is removed. Several processes may write one file at the same time:
    the last one wins. A link is followed; a device or a pipe is written to and never replaced.

    Raises:
        SeglibError: the folder cannot be created, or the file cannot be written.
    """
    try:
        path = Path(os.path.realpath(path))
        if path.exists() and not path.is_file() and not path.is_dir():
            with path.open("wb") as stream:
                write(stream)
            return
        make_folder(path.parent)
        _remove_abandoned(path)
        temporary = path.with_name(f"{_prefix(path)}{os.getpid()}.{secrets.token_hex(4)}.part")
        _write_and_rename(temporary, path, write)
    except OSError as error:
        raise SeglibError(f"cannot write {path}: {error.strerror or error}") from error


def make_folder(folder: Path) -> None:
    """Create a folder and its parents unless they exist.

    Raises:
        SeglibError: a file has that name, or the folder cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise SeglibError(f"{folder} is a file, not a folder: choose another name") from error
    except OSError as error:
        reason = error.strerror or error
        raise SeglibError(f"cannot create the folder {folder}: {reason}") from error


def _write_and_rename(temporary: Path, path: Path, write: Callable[[BinaryIO], object]) -> None:
    try:
        with temporary.open("xb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:  # also Ctrl-C, and whatever `write` raises
        with suppress(OSError):
            temporary.unlink()
        raise


def _prefix(path: Path) -> str:
    """The prefix of the temporary files for this file on this machine, short for any name."""
    return f".{hashlib.sha256(path.name.encode(errors='replace')).hexdigest()[:8]}.{_HOST}."


def _remove_abandoned(path: Path) -> None:
    """Remove the temporary files of processes that were killed while writing this file."""
    prefix = _prefix(path)
    for other in path.parent.glob(f"{prefix}*.part"):
        process = other.name.removeprefix(prefix).split(".")[0]
        if process.isdecimal() and not _is_alive(int(process)):
            with suppress(OSError):
                other.unlink()


def _is_alive(process: int) -> bool:
    if os.name == "nt":  # os.kill would end the process there
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
