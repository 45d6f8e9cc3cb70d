"""The folder of a run belongs to one run at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from seglib import distributed
from seglib.errors import SeglibError
from seglib.locks import BusyError, locked

LOCK_NAME = ".training.lock"


@contextmanager
def run_folder(folder: Path | None) -> Iterator[None]:
    """Keep other runs out of a folder for the duration of a `with` block.

    Args:
        folder: the run's folder; None if it has none. Process 0 locks it for all processes of the
            run.

    Raises:
        SeglibError: another run is writing to the folder.
    """
    if folder is None or distributed.rank() != 0:
        yield
        return
    try:
        with locked(folder / LOCK_NAME, wait=False):
            yield
    except BusyError as error:
        raise SeglibError(
            f"{error}, which is training: wait until it ends, or choose another folder (--out)"
        ) from error
