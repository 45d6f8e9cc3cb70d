"""Write files atomically: whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from seglib.errors import SeglibError


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write to a temporary file beside `path`, then rename it to `path`.

    Readers find either the old file or the new one, even if the process is killed. If `write`
    fails, the temporary file is removed.

    Raises:
        SeglibError: the folder cannot be created, or the file cannot be written.
    """
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.part")
    try:
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:  # also Ctrl-C, and whatever `write` raises
        with suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError):
            raise SeglibError(f"cannot write {path}: {error.strerror or error}") from error
        raise


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
