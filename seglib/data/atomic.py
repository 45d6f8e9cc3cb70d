"""Write a file whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from seglib.errors import SeglibError


def write_atomic(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Fill a temporary file beside `path`, then put it in its place in one move.

    A reader, or a run killed at any moment, finds the old file or the new one.

    Raises:
        SeglibError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise SeglibError(f"cannot write {path}: {error.strerror or error}") from error
