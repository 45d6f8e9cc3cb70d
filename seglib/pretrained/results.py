"""The table of finished runs: one line of JSON each, only ever added to."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any

from seglib.atomic import write_atomic
from seglib.errors import SeglibError

Row = dict[str, Any]
# What a row holds at least, and of which kinds.
FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "command": (str,),
    "seed": (int, NoneType),
    "cpu_minutes": (int, float),
    "evaluated": (str,),
    "figures": (dict,),
}


def append_result(file: Path, row: Row) -> None:
    """Add a run to the table; what stands there stays.

    Args:
        file: the table, made when missing.
        row: JSON values, at least those of `FIELDS`.

    Raises:
        SeglibError: a field is missing or of another kind, or the table is damaged.
    """
    if fault := _fault(row):
        raise SeglibError(f"a result needs {fault}")
    read_results(file)
    before = file.read_bytes() if file.is_file() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    line = json.dumps(row, ensure_ascii=False) + "\n"
    write_atomic(file, lambda stream: stream.write(before + line.encode()))


def read_results(file: Path) -> list[Row]:
    """All rows, oldest first; none where there is no table.

    Raises:
        SeglibError: a line that is no result.
    """
    content = file.read_bytes() if file.is_file() else b""
    if not content:
        return []
    rows = []
    # Text may hold what Python takes for the end of a line, such as U+2028; JSON's lines end here.
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            row = json.loads(line.decode())
            fault = _fault(row)
        except ValueError as error:  # also bytes that are no UTF-8
            raise _damaged(file, number, str(error)) from error
        if fault:
            raise _damaged(file, number, f"it needs {fault}")
        rows.append(row)
    return rows


def _fault(row: Any) -> str:
    """The first field that a row lacks or has of another kind; empty where there is none."""
    for name, kinds in FIELDS.items():
        if not isinstance(row, dict) or name not in row:
            return name
        if not isinstance(row[name], kinds):
            return f"{name} as {' or '.join(kind.__name__ for kind in kinds)}"
    for name, value in row["figures"].items():
        if not isinstance(value, int | float | None):
            return f"figures of numbers, and {name} is none"
    return ""


def _damaged(file: Path, number: int, why: str) -> SeglibError:
    return SeglibError(f"{file}, line {number} is no result ({why}): restore the file from git")
