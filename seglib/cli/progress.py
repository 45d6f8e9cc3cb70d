"""Progress of long tasks: a live bar in a terminal, otherwise a line every 30 seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from seglib.cli.errors import say

if TYPE_CHECKING:
    from seglib.training import Progress as Step

LINE_EVERY_SECONDS = 30.0
TIMED_STEPS = 5  # the estimate is made from these steps, after one that is not counted
SMOOTHING = 0.9


class Bar:
    """A bar with rate and time left; outside a terminal, a line every 30 seconds."""

    def __init__(self, title: str, unit: str, total: int, done: int = 0) -> None:
        """Begin with `done` of `total` units, finished in an earlier part of the run."""
        self._console = Console(stderr=True)
        self._unit, self._total, self._title = unit, total, title
        self._first, self._start, self._last_line = done, time.monotonic(), time.monotonic()
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID = self._progress.add_task(title, total=total, completed=done, note="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def update(self, done: int, note: str = "") -> None:
        """Show that `done` units are finished."""
        now = time.monotonic()
        rate = (done - self._first) / max(now - self._start, 1e-9)
        pace = f"{rate:.1f} {self._unit}/s" if rate >= 0.1 else f"{60 * rate:.1f} {self._unit}/min"
        shown = f"{pace} {note}".strip()
        self._progress.update(self._task, completed=done, note=shown)
        if not self._console.is_terminal and now - self._last_line >= LINE_EVERY_SECONDS:
            self._last_line = now
            left = (self._total - done) / max(rate, 1e-9)
            self._console.print(
                f"{self._title} {done}/{self._total} {shown} {clock(left)} left", soft_wrap=True
            )


class TrainingBar(Bar):
    """A `Bar` that `train` can call after every step; shows the running mean of the loss."""

    def __init__(self, steps: int) -> None:
        super().__init__("training", "steps", steps)
        self._mean: float | None = None
        self._first_step: Step | None = None

    def __call__(self, step: Step) -> None:
        """Show a finished step; print an estimate after the first few."""
        if self._first_step is None:
            self._first_step = step
            self._first = step.step - 1  # a resumed run does not begin at step 1
        elif step.step == self._first_step.step + TIMED_STEPS and step.step < step.steps:
            self._console.print(estimate(self._first_step, step), soft_wrap=True, highlight=False)
        mean = step.loss if self._mean is None else self._mean
        self._mean = SMOOTHING * mean + (1 - SMOOTHING) * step.loss
        self.update(step.step, f"loss {self._mean:.3f}")


def estimate(first: Step, last: Step) -> str:
    """An estimate of the time for the steps after `last`, from those between `first` and `last`."""
    seconds = (last.seconds - first.seconds) / (last.step - first.step)
    left = last.steps - last.step
    return (
        f"estimate: {left * seconds / 60:.1f} minutes for the other {left} steps, at "
        f"{seconds:.2f} s per step; validations come on top"
    )


@contextmanager
def log_shown() -> Iterator[None]:
    """Print the library's log messages to stderr, one line each, inside a `with` block."""
    log, handler = logging.getLogger("seglib"), _Lines()
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.setLevel(level)


class _Lines(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage())


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d}"
