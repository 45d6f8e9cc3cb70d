"""The first program in the sandbox: set the limits, then run the notebook under pytest and nbval.

It is started by its path, imports no torch, and prints one JSON line for each cell that fails:
{"cell": id, "message": text}. Whatever it prints is only a hint for the student: marks come from
what the functions return (see `serve`).
"""

from __future__ import annotations

import json
import re
import resource
import sys
from typing import Any

# jsonschema uses this package for formats that notebooks do not have, and loading it takes longer
# than everything else.
sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]

import pytest  # noqa: E402

from seglib.workshop.nbval_plugin import FIRST_FAILURE  # noqa: E402

MAX_MESSAGE = 300  # characters
KERNEL_GONE = "a cell before it ended the notebook's process"
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class EachCell:
    """Runs every cell, also after one that failed, each with a time of its own."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: Any) -> None:
        """Forget an earlier failure, and set this cell's time."""
        if FIRST_FAILURE in item.parent.stash:
            del item.parent.stash[FIRST_FAILURE]
        item.config.option.nbval_cell_timeout = item.cell.metadata["seconds"]

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Print a line for a cell that failed."""
        if report.failed:
            cell = report.user_properties[0][1] if report.user_properties else ""
            print(f"\n{json.dumps({'cell': cell, 'message': last_line(report)})}", flush=True)

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Note each cell's name."""
        for item in items:
            item.user_properties.append(("cell", item.cell.metadata["name"]))


def last_line(report: Any) -> str:
    """The error with which a cell ended, and the line of the cell if it is known."""
    text = COLOURS.sub("", str(report.longrepr))
    lines = [line.strip() for line in text.splitlines() if line.strip()] or ["it failed"]
    place = re.findall(r"^\s*Cell In\[\d+\], (line \d+)$", text, re.MULTILINE)
    message = lines[-1].removeprefix("pytest plugin exception: ")
    message = KERNEL_GONE if message == "Kernel dead on test start" else message
    return (f"{place[-1]}: " if place else "") + message[:MAX_MESSAGE]


def set_limits(limits: dict[str, int]) -> None:
    """Set the limits of this process and its children; they cannot be raised again."""
    for name, value in limits.items():
        kind = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(kind)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def main() -> int:
    """Run the notebook that the command line names, after limits in JSON."""
    set_limits(json.loads(sys.argv[1]))
    options = ["-s", "-q", "-p", "no:cacheprovider", "-p", "seglib.workshop.nbval_plugin"]
    options += ["--nbval-lax", "--nbval-current-env", "--color=no", "-o", "addopts="]
    return int(pytest.main([*options, "--tb=short", sys.argv[2]], plugins=[EachCell()]))


if __name__ == "__main__":
    sys.exit(main())
