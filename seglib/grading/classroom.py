"""Mark a class: several submissions at a time, each result saved at once, so that it resumes.

OUT/grading.json         what makes the marks repeatable: assignment, seed, sandbox
OUT/marks/NAME.json      the marks of each submission, for the instructor
OUT/feedback/NAME/       what the student may see (see `reports`)
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from seglib.atomic import write_atomic
from seglib.errors import SeglibError, printable
from seglib.grading.sandbox import Limits, bubblewrap, require_bubblewrap
from seglib.grading.scoring import MAX_RUNS, Marks, empty_tasks, mark
from seglib.grading.splice import is_answer
from seglib.grading.submissions import Submission
from seglib.workshop.assignments import assignment_names, read_master, student_version
from seglib.workshop.build import lessons_folder

FAILED = "the grader failed"  # in the line of a submission that is tried again by the next run


@dataclass(frozen=True)
class Plan:
    """How a class is marked.

    Attributes:
        assignment: number or name; None to recognise each submission's.
        seed: of the hidden inputs.
        unsafe: mark without a sandbox.
        limits: what each submission may use.
    """

    assignment: str | None
    seed: int
    unsafe: bool = False
    limits: Limits = field(default_factory=Limits)


def grade(
    submissions: list[Submission],
    out: Path,
    plan: Plan,
    *,
    jobs: int = 2,
    on_done: Callable[[int, Marks], None] = lambda _count, _marks: None,
) -> list[Marks]:
    """Mark submissions and save the marks; those that are saved already are not marked again.

    Args:
        submissions: from `submissions.find`.
        out: the folder of the results.
        plan: how they are marked.
        jobs: how many at a time.
        on_done: called with the number of finished submissions and the latest marks.

    Returns:
        the marks, in the order of the submissions.

    Raises:
        SeglibError: no sandbox, an unknown assignment, or a folder with results of another plan.
    """
    require_bubblewrap(plan.unsafe)
    if plan.assignment is not None:
        assignment_names([plan.assignment])
    _keep_plan(out, plan)
    marks: dict[str, Marks] = {}
    missing = []
    for submission in submissions:
        if (saved := _saved(out, submission)) is not None:
            marks[submission.file_name] = saved
        else:
            missing.append(submission)
    for name in sorted({_name_of(submission, plan) for submission in missing} - {""}):
        prove(name, plan)
    for submission, found in _marked(missing, plan, jobs):
        marks[submission.file_name] = found
        _save(out, submission, found)
        on_done(len(marks), found)
    return [marks[submission.file_name] for submission in submissions]


def prove(name: str, plan: Plan) -> None:
    """Make sure that the reference earns full marks here and now, before anybody loses any.

    Raises:
        SeglibError: it does not, so that the sandbox or the assignment is at fault.
    """
    master = _master(name)
    marks = Marks("reference", name, plan.seed)
    mark(nbformat.writes(master).encode(), master, marks, limits=plan.limits, unsafe=plan.unsafe)
    if marks.line or marks.earned < marks.points:
        lost = [f"{task.cell}: {reason}" for task in marks.tasks for reason in task.reasons]
        raise SeglibError(
            f"nothing was marked, since the reference of {name} earns {marks.earned:g} of "
            f"{marks.points} points here: {marks.line or '; '.join(lost[:2])}"
        )


def _marked(missing: list[Submission], plan: Plan, jobs: int) -> Iterator[tuple[Submission, Marks]]:
    """Marks as they become ready. If a process of the grader dies, the rest go one at a time."""
    left = {submission.file_name: submission for submission in missing}
    try:
        for submission, found in _in_pool(missing, plan, jobs):
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
    spawn = multiprocessing.get_context("spawn")
    if not submissions:
        return
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
    """Let this worker end with the process that started it, even if that one is killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


class OutOfTimeError(BaseException):
    """The checks of a submission take too long: it returned something that is slow to judge."""


def mark_one(submission: Submission, plan: Plan) -> Marks:
    """The marks of one submission; whatever is wrong with it is said in them."""
    import torch

    torch.set_num_threads(1)
    try:
        data = submission.read()
        name, master = _master_of(data, plan)
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
    line = f"Not marked: {reason}."
    if plan.assignment is None:
        return Marks(submission.student, "", plan.seed, line=line, sandboxed=not plan.unsafe)
    (name,) = assignment_names([plan.assignment])
    marks = Marks(submission.student, name, plan.seed, line=line, sandboxed=not plan.unsafe)
    marks.tasks = list(empty_tasks(_master(name)))
    return marks


@functools.cache
def _master(name: str) -> NotebookNode:
    return read_master(lessons_folder() / "source" / "assignments" / f"{name}.py")


def _name_of(submission: Submission, plan: Plan) -> str:
    """The assignment of a submission, or "" if it has none."""
    try:
        return _master_of(submission.read(), plan)[0]
    except SeglibError:
        return ""


def _master_of(data: bytes, plan: Plan) -> tuple[str, NotebookNode]:
    """The assignment of a submission: the plan's, or the one with most of its answer cells."""
    if plan.assignment is not None:
        (name,) = assignment_names([plan.assignment])
        return name, _master(name)
    best, most = "", 0
    for name in assignment_names():
        ids = [cell.id for cell in _master(name).cells if is_answer(cell)]
        count = sum(json.dumps(cell_id).encode() in data for cell_id in ids)
        if count > most:
            best, most = name, count
    if not best:
        raise SeglibError("it contains no answer cell of any assignment")
    return best, _master(best)


def _keep_plan(out: Path, plan: Plan) -> None:
    path = out / "grading.json"
    record = {"assignment": plan.assignment, "seed": plan.seed, "unsafe": plan.unsafe}
    if path.exists():
        if json.loads(path.read_text("utf-8")) != record:
            raise SeglibError(
                f"{out} contains the marks of another run ({path.read_text('utf-8').strip()}): "
                "choose another folder, or the same assignment, seed and sandbox"
            )
        return
    write_atomic(path, lambda stream: stream.write(json.dumps(record).encode()))


def saved_seed(out: Path) -> int | None:
    """The seed of an earlier run whose marks are in this folder."""
    try:
        return int(json.loads((out / "grading.json").read_text("utf-8"))["seed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _digest(submission: Submission) -> str:
    try:
        return hashlib.sha256(submission.read()).hexdigest()
    except SeglibError as error:
        return str(error)


def _marks_file(out: Path, submission: Submission) -> Path:
    return out / "marks" / f"{submission.file_name}.json"


def _save(out: Path, submission: Submission, marks: Marks) -> None:
    record = {"content": _digest(submission), "marks": asdict(marks)}
    text = json.dumps(record, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    write_atomic(_marks_file(out, submission), lambda stream: stream.write(text))


def _saved(out: Path, submission: Submission) -> Marks | None:
    """The marks of an earlier run, if they are of the same notebook."""
    try:
        record = json.loads(_marks_file(out, submission).read_text("utf-8"))
        marks = Marks.from_json(record["marks"])
        if record["content"] == _digest(submission) and FAILED not in marks.line:
            return marks
    except (OSError, ValueError, KeyError, TypeError, SeglibError):
        pass
    return None


def check_one(path: Path, assignment: str | None) -> Marks:
    """Run the visible checks of a student's own notebook, in a sandbox if there is one.

    The checks are those of the course; where only the notebook is at hand, they are its own.

    Raises:
        SeglibError: the file is not a notebook of an assignment.
    """
    plan = Plan(assignment, 0, unsafe=bubblewrap() is None)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SeglibError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        lessons_folder()
    except SeglibError:
        name, version = path.stem, _own_checks(data, path)
    else:
        name, master = _master_of(data, plan)
        version = student_version(master)
    marks = Marks(printable(path.stem), name, plan.seed)
    return mark(data, version, marks, limits=plan.limits, unsafe=plan.unsafe, fresh=False)


def _own_checks(data: bytes, path: Path) -> NotebookNode:
    try:
        return nbformat.reads(data.decode(), as_version=4)
    except Exception as error:  # nbformat fails in many ways on what is not a notebook
        raise SeglibError(f"{path} is not a notebook: save it again in JupyterLab") from error
