"""The student's process while a submission is marked; if a function ends it, it is restarted."""

from __future__ import annotations

import contextlib

from seglib.errors import SeglibError
from seglib.grading.limits import Limits
from seglib.grading.remote import GoneError, Student
from seglib.grading.sandbox import Run, running
from seglib.grading.splice import OPENING

MAX_RUNS = 3  # of one notebook, if its functions hang or end its process


class Session:
    """The student's process, which is restarted for the next task if it has ended."""

    def __init__(self, notebook: str, limits: Limits, unsafe: bool) -> None:
        self.forbidden: set[str] = set()
        self._notebook, self._limits, self._unsafe = notebook, limits, unsafe
        self._runs = contextlib.ExitStack()
        self._run: Run | None = None
        self._student: Student | None = None
        self._started = 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *error: object) -> None:
        self._runs.close()

    @property
    def cells(self) -> dict[str, str]:
        """The cells that failed, and why."""
        return self._run.cells() if self._run else {}

    @property
    def unreachable(self) -> str:
        """Why the notebook did not get to its last cell, which answers calls; "" if it did."""
        return self._run.reason if self._run and self._student is None else ""

    def begin_task(self) -> None:
        """Start the process if there is none, or again if a function has ended it.

        Raises:
            SeglibError: the grader's own first cell failed.
        """
        never_ready = self._run is not None and self._student is None
        alive = self._student is not None and not self._student.gone
        if alive or never_ready or self._started == MAX_RUNS:
            return
        self._runs.close()
        self._started += 1
        self._run = self._runs.enter_context(
            running(self._notebook, self._limits, unsafe=self._unsafe)
        )
        self._student = None
        if self._run.connection is not None:
            self._student = Student(self._run.connection, self._limits.call_seconds)
            self._student.forbidden = self.forbidden
        if OPENING in self.cells:
            raise SeglibError(f"the grader's first cell failed: {self.cells[OPENING]}")

    def student(self) -> Student:
        """The process to call.

        Raises:
            GoneError: there is none.
        """
        reason = self._run.reason if self._run else ""
        if self._student is None or (self._student.gone and reason):
            raise GoneError(reason)
        return self._student
