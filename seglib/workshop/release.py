"""The notebooks that instructors hand out: for students, and with solutions."""

from __future__ import annotations

import io
import zipfile
from functools import partial
from pathlib import Path
from typing import BinaryIO

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.workshop.assignments import (
    assignment_names,
    master_path,
    read_master,
    student_version,
    without_hidden_checks,
)
from seglib.workshop.execute import write_notebook
from seglib.workshop.normalise import notebook_text


def release(names: list[str] | None, out: Path) -> list[str]:
    """Write the student notebooks of assignments to a folder, or to a zip file, and nothing else.

    Args:
        names: numbers or names; None means all assignments.
        out: a folder, or a file that ends in .zip.

    Returns:
        the names of the notebooks.

    Raises:
        SeglibError: an unknown name, or the files cannot be written.
    """
    texts = {
        f"{name}.ipynb": notebook_text(student_version(read_master(master_path(name))))
        for name in assignment_names(names)
    }
    if out.suffix == ".zip":
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, text in texts.items():
                archive.writestr(zipfile.ZipInfo(file), text)  # without a date: repeatable
        write_atomic(out, lambda stream: stream.write(packed.getvalue()))
        return list(texts)
    for file, text in texts.items():
        write_atomic(out / file, partial(_put, text.encode()))
    return list(texts)


def _put(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)


def write_solution(name: str, out: Path, *, hidden: bool = False) -> None:
    """Write an assignment with its solutions as a notebook.

    Args:
        name: number or name.
        out: the notebook's file.
        hidden: include the hidden checks, for instructors.

    Raises:
        SeglibError: an unknown name, or a file that is not called .ipynb.
    """
    if out.suffix != ".ipynb":
        raise SeglibError(f"{out} must be the name of a notebook, ending in .ipynb")
    (found,) = assignment_names([name])
    master = read_master(master_path(found))
    write_notebook(master if hidden else without_hidden_checks(master), out)
