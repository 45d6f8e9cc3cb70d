"""A pytest plugin that adapts nbval to the lessons: `pytest -p seglib.workshop.nbval_plugin`.

nbval runs every cell of a notebook and compares its text output exactly or not at all. This
plugin adds three things. In a cell with `tolerance` in its metadata, numbers are compared
within that tolerance and words exactly. A kernel that dies, or that replies with an error
without publishing it, fails the cell at once rather than after a timeout. And after the first
failing cell the rest of the notebook is skipped, so that one mistake is reported once.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Generator
from queue import Empty
from typing import Any

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell

from seglib.data.pocket.drawing_bar import without_notices

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?!\w)")
PICTURES = ("image/png", "image/jpeg", "application/vnd.jupyter.widget-view+json")
FIRST_FAILURE = pytest.StashKey[str]()
REFUSED = pytest.StashKey[str]()
MAX_TOLERANCE = 1.0
SECONDS = pytest.StashKey[dict[str, float]]()


class WatchedKernel(RunningKernel):
    """nbval's kernel; waiting for a reply ends when the kernel dies."""

    error: dict[str, Any] | None = None

    def get_message(self, stream: str, timeout: float | None = None) -> dict[str, Any]:
        """The next message from the kernel; the reports of Pocket COCO's drawing are left out."""
        message: dict[str, Any] = super().get_message(stream, timeout)
        content = message["content"]
        if message["msg_type"] == "stream" and content["name"] == "stderr":
            content["text"] = without_notices(content["text"])
            if not content["text"]:
                return self.get_message(stream, timeout)
        return message

    def await_reply(self, msg_id: str, timeout: float | None = None) -> None:
        """Wait for the reply to a request.

        Raises:
            RuntimeError: the kernel died or refused the request.
            queue.Empty: no reply within `timeout` seconds.
        """
        self.error = None
        deadline = time.monotonic() + timeout if timeout else math.inf
        while time.monotonic() < deadline:
            try:
                message = self.get_message(stream="shell", timeout=1)
            except Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died while running this cell") from None
                continue
            if message["parent_header"].get("msg_id") == msg_id:
                self._record(message["content"])
                return
        raise Empty

    def _record(self, reply: dict[str, Any]) -> None:
        if reply["status"] == "aborted":
            raise RuntimeError("the kernel refused to run this cell")
        if reply["status"] == "error":
            self.error = reply


def text_of(outputs: list[Any]) -> str:
    """The text of a cell's outputs: streams and plain text, without pictures and widgets."""
    parts = []
    for output in outputs:
        data = output.get("data", {})
        if output["output_type"] == "stream":
            parts.append(output["text"])
        elif "text/plain" in data and not any(kind in data for kind in PICTURES):
            parts.append(data["text/plain"])
    return "\n".join(parts)


def difference(got: str, expected: str, tolerance: float) -> str | None:
    """Compare two texts: numbers within a tolerance, the words between them exactly.

    Args:
        got: what the cell printed in this run.
        expected: what the notebook stores.
        tolerance: relative or absolute, whichever is more forgiving.

    Returns:
        a description of the first difference, or None.
    """
    words = [" ".join(NUMBER.sub(" # ", text).split()) for text in (got, expected)]
    if words[0] != words[1]:
        return f"the words differ: stored {words[1]!r}, got {words[0]!r}"
    pairs = zip(NUMBER.findall(got), NUMBER.findall(expected), strict=True)
    for now, stored in pairs:
        if not math.isclose(float(now), float(stored), rel_tol=tolerance, abs_tol=tolerance):
            return f"stored {stored}, got {now}: they differ by more than {tolerance}"
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Replace nbval's kernel by the watched one."""
    nbval.plugin.RunningKernel = WatchedKernel
    config.stash[SECONDS] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give cells that have a tolerance their own comparison."""
    for item in items:
        if isinstance(item, IPyNbCell) and "tolerance" in item.cell.metadata:
            tolerance = item.cell.metadata["tolerance"]
            item.options["check"] = True
            if is_tolerance(tolerance):
                item.compare_outputs = _comparison(item, float(tolerance))
            else:
                item.stash[REFUSED] = (
                    f"this cell's tolerance={tolerance!r} must be a number from 0 to "
                    f"{MAX_TOLERANCE}: with a larger one the cell could not fail"
                )


def is_tolerance(value: object) -> bool:
    """Whether this is a number so small that a comparison within it can fail."""
    return type(value) in (int, float) and 0 <= value <= MAX_TOLERANCE  # type: ignore[operator]


def _comparison(item: Any, tolerance: float) -> Any:
    def compare(got: list[Any], expected: list[Any]) -> bool:
        problem = difference(
            item.sanitize(text_of(got)), item.sanitize(text_of(expected)), tolerance
        )
        item.comparison_traceback = [problem]
        return problem is None

    return compare


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip the cells after a failing one in the same notebook."""
    if isinstance(item, IPyNbCell) and FIRST_FAILURE in item.parent.stash:
        pytest.skip(f"{item.parent.stash[FIRST_FAILURE]} failed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, Any, Any]:
    """Fail a cell that its author never ran, or whose error nbval did not see."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    if REFUSED in item.stash:
        item.raise_cell_error(item.stash[REFUSED])
    if item.cell.source.strip() and item.cell.execution_count is None:
        item.raise_cell_error("this cell has no execution count: the notebook was stripped")
    result = yield
    error = getattr(item.parent.kernel, "error", None)
    if error and not item.options["check_exception"]:
        item.raise_cell_error(f"the kernel reported {error.get('ename')}: {error.get('evalue')}")
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record the first failing cell of each notebook, and how long each notebook takes."""
    report = yield
    if isinstance(item, IPyNbCell):
        if report.failed:
            item.parent.stash.setdefault(FIRST_FAILURE, item.name)
        seconds = item.config.stash[SECONDS]
        seconds[item.parent.name] = seconds.get(item.parent.name, 0.0) + report.duration
    return report


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Print how long each notebook took."""
    for name, seconds in config.stash[SECONDS].items():
        terminalreporter.write_line(f"{seconds:7.1f} s  {name}")
