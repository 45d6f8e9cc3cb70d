"""How a class is marked, and which assignment each of its submissions belongs to."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass, field

from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.grading.limits import Limits
from seglib.grading.splice import is_answer
from seglib.workshop.assignments import assignment_names, master_path, read_master


@dataclass(frozen=True)
class Plan:
    """How a class is marked.

    Attributes:
        assignment: its number or name; None to recognise it from each submission.
        seed: seed of the hidden inputs.
        unsafe: mark without a sandbox.
        limits: what each submission may use.
    """

    assignment: str | None
    seed: int
    unsafe: bool = False
    limits: Limits = field(default_factory=Limits)

    def assignment_of(self, data: bytes) -> tuple[str, NotebookNode]:
        """The assignment of a submission: this plan's, or the one with most of its answer cells.

        Args:
            data: the content of the submission.

        Returns:
            its name and its master.

        Raises:
            SeglibError: the assignment is unknown, or the submission has no answer cell of any.
        """
        if self.assignment is not None:
            (name,) = assignment_names([self.assignment])
            return name, master_of(name)
        best, most = "", 0
        for name in assignment_names():
            ids = [cell.id for cell in master_of(name).cells if is_answer(cell)]
            count = sum(json.dumps(cell_id).encode() in data for cell_id in ids)
            if count > most:
                best, most = name, count
        if not best:
            raise SeglibError("it contains no answer cell of any assignment")
        return best, master_of(best)


@functools.cache
def master_of(name: str) -> NotebookNode:
    """The master of an assignment, by its whole name."""
    return read_master(master_path(name))
