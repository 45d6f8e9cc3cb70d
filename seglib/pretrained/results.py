"""The table of finished runs: one line of JSON per run; rows are added, never changed."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.json_files import parse_json

Row = dict[str, Any]
# The fields that every row has, and their types.
FIELDS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "command": (str,),
    "seed": (int, NoneType),
    "cpu_minutes": (int, float),
    "evaluated": (str,),
    "figures": (dict,),
}


def append_result(file: Path, row: Row) -> None:
    """Add a run to the table.

    Args:
        file: the table, created if it does not exist.
        row: JSON values, at least those of `FIELDS`.

    Raises:
        SeglibError: a field is missing or has another type, or the table is damaged.
    """
    if fault := _fault(row):
        raise SeglibError(f"a result needs {fault}")
    read_results(file)  # refuses a damaged table
    before = file.read_bytes() if file.is_file() else b""
    if before and not before.endswith(b"\n"):
        before += b"\n"
    line = json.dumps(row, ensure_ascii=False) + "\n"
    write_atomic(file, lambda stream: stream.write(before + line.encode()))


def read_results(file: Path) -> list[Row]:
    """Read all rows, oldest first; none if the file does not exist.

    Raises:
        SeglibError: a line that is not a result.
    """
    content = file.read_bytes() if file.is_file() else b""
    if not content:
        return []
    rows = []
    # Not splitlines(): it would also split at characters that JSON text may contain (U+2028).
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), start=1):
        try:
            row = parse_json(line.decode())
            fault = _fault(row)
        except ValueError as error:  # also bytes that are not UTF-8
            raise _damaged(file, number, str(error)) from error
        if fault:
            raise _damaged(file, number, f"it needs {fault}")
        rows.append(row)
    return rows


def training_minutes(row: Row) -> str:
    """How long a run took: CPU minutes, or elapsed minutes and the device if it was another."""
    device = row.get("device") or "cpu"
    if device == "cpu":
        return f"{row['cpu_minutes']:.1f}" if "cpu_minutes" in row else "–"
    return f"{row['minutes']:.1f} {device}"


def _fault(row: Any) -> str:
    """The first field that is missing or has the wrong type, in words; empty if there is none."""
    for name, kinds in FIELDS.items():
        if not isinstance(row, dict) or name not in row:
            return name
        if not isinstance(row[name], kinds):
            return f"{name} as {' or '.join(kind.__name__ for kind in kinds)}"
    for name, value in row["figures"].items():
        if not isinstance(value, int | float | None):
            return f"figures that are numbers, and {name} is not"
    return ""


def _damaged(file: Path, number: int, why: str) -> SeglibError:
    return SeglibError(f"{file}, line {number} is not a result ({why}): restore the file from git")
