"""The table of finished runs: one line of JSON each, only ever added to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from seglib.data.atomic import write_atomic
from seglib.errors import SeglibError

FIELDS = ("name", "command", "seed", "cpu_minutes", "evaluated", "figures")


def append_result(file: Path, row: dict[str, Any]) -> None:
    """Add a run to the table; what stands there stays.

    Args:
        file: the table, made when missing.
        row: JSON values, at least those of `FIELDS`.

    Raises:
        SeglibError: a field is missing, or the table is damaged.
    """
    if missing := [name for name in FIELDS if name not in row]:
        raise SeglibError(f"a result needs {', '.join(missing)}")
    read_results(file)
    before = file.read_text(encoding="utf-8") if file.is_file() else ""
    text = before + json.dumps(row, ensure_ascii=False) + "\n"
    write_atomic(file, lambda stream: stream.write(text.encode()))


def read_results(file: Path) -> list[dict[str, Any]]:
    """All rows, oldest first; none where there is no table.

    Raises:
        SeglibError: a line that is no result.
    """
    if not file.is_file():
        return []
    rows = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            complete = isinstance(row, dict) and all(name in row for name in FIELDS)
        except json.JSONDecodeError:
            complete = False
        if not complete:
            raise SeglibError(f"{file}, line {number} is no result: restore the file from git")
        rows.append(row)
    return rows
