"""Mark several submissions at a time, in processes; a broken submission never stops the class."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from seglib.errors import SeglibError
from seglib.grading.marks import FAILED, Marks, empty_tasks
from seglib.grading.plan import Plan, master_of
from seglib.grading.scoring import mark
from seglib.grading.session import MAX_RUNS
from seglib.grading.submissions import Submission
from seglib.workshop.assignments import assignment_names


def mark_each(
    submissions: list[Submission], plan: Plan, jobs: int
) -> Iterator[tuple[Submission, Marks]]:
    """Marks as they become ready. If a process of the grader dies, the rest go one at a time."""
    left = {submission.file_name: submission for submission in submissions}
    try:
        for submission, found in _in_pool(submissions, plan, jobs):
            del left[submission.file_name]
            yield submission, found
    except BrokenProcessPool:
        for submission in left.values():
            try:
                yield from _in_pool([submission], plan, 1)
            except BrokenProcessPool:
                yield submission, _refused(submission, plan, f"{FAILED} (its process ended)")


def _in_pool(
    submissions: list[Submission], plan: Plan, jobs: int
) -> Iterator[tuple[Submission, Marks]]:
    if not submissions:
        return
    spawn = multiprocessing.get_context("spawn")
    workers = min(jobs, len(submissions))
    with ProcessPoolExecutor(workers, mp_context=spawn, initializer=_end_with_parent) as pool:
        running: dict[Future[Marks], Submission] = {
            pool.submit(mark_one, submission, plan): submission for submission in submissions
        }
        try:
            while running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Make this worker end with the process that started it, even if that process is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class OutOfTimeError(BaseException):
    """The checks of a submission take too long: it returned something that is slow to judge."""


def mark_one(submission: Submission, plan: Plan) -> Marks:
    """The marks of one submission; they say whatever is wrong with it."""
    import torch

    torch.set_num_threads(1)
    try:
        data = submission.read()
        name, master = plan.assignment_of(data)
        marks = Marks(submission.student, name, plan.seed)
        with _time_limit(MAX_RUNS * plan.limits.wall_seconds + 60):
            return mark(data, master, marks, limits=plan.limits, unsafe=plan.unsafe)
    except OutOfTimeError:
        return _refused(submission, plan, "what it returned took too long to judge")
    except SeglibError as error:
        return _refused(submission, plan, str(error))
    except Exception as error:  # a mistake of the grader's must not cost the class its marks
        return _refused(submission, plan, f"{FAILED} ({type(error).__name__}: {error})")


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise an `OutOfTimeError` in the block after so many seconds."""

    def stop(_number: int, _frame: object) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _refused(submission: Submission, plan: Plan, reason: str) -> Marks:
    """Marks without points; if no assignment is planned, it is unknown which tasks they are of."""
    marks = Marks(submission.student, "", plan.seed, line=f"Not marked: {reason}.")
    marks.sandboxed = not plan.unsafe
    if plan.assignment is not None:
        (marks.assignment,) = assignment_names([plan.assignment])
        marks.tasks = list(empty_tasks(master_of(marks.assignment)))
    return marks
