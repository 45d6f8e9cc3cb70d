"""Report the drawing of a split: with a bar in a terminal, with an occasional line elsewhere.

Both go to standard error. In a notebook, the lines appear below the cell that first needs the
images; `without_notices` removes them if the outputs of two runs are compared or committed.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

Report = Callable[[int], None]
NOTICE = "Drawing Pocket COCO"
_LINES = re.compile(rf"^{NOTICE}.*\n?", re.MULTILINE)
_LINE_EVERY_SECONDS = 15.0
_BAR_EVERY = 25  # images; the bar shares the cores with the drawing


@contextmanager
def drawing_bar(split: str, count: int, visible: bool = True) -> Iterator[Report]:
    """Report the drawing of `count` scenes; yields a function to call with the number drawn."""
    console = Console(stderr=True)  # in a notebook, not a terminal
    title = f"{NOTICE}'s {count} {split} images, once"
    if not visible:
        yield lambda done: None
    elif console.is_terminal:
        with _bar(console) as bar:
            yield _bar_report(bar, title, count)
    else:
        _say(f"{title}: they are kept for the next time")
        yield _line_report(count)


def without_notices(text: str) -> str:
    """A cell's standard error without the lines that `drawing_bar` wrote."""
    return _LINES.sub("", text)


def _bar(console: Console) -> Progress:
    columns = (
        TextColumn("[progress.description]{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, refresh_per_second=2)


def _bar_report(bar: Progress, title: str, count: int) -> Report:
    task = bar.add_task(title, total=count, rate="")

    def report(done: int) -> None:
        if done % _BAR_EVERY == 0 or done == count:
            speed = bar.tasks[0].speed
            bar.update(task, completed=done, rate=f"{speed:.0f} images/s" if speed else "")

    return report


def _line_report(count: int) -> Report:
    start = last = time.monotonic()

    def report(done: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _LINE_EVERY_SECONDS and done < count:
            last = now
            left = (count - done) * (now - start) / done
            _say(f"{NOTICE}: {done} of {count}, about {left:.0f} s left")

    return report


def _say(line: str) -> None:
    """Write a line at once, so that a notebook receives it in one message."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
