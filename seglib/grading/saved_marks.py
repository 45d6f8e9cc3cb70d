"""The marks of a class on disk: each is saved at once, so that an interrupted run resumes.

OUT/grading.json         what makes the marks repeatable: assignment, seed, sandbox
OUT/marks/NAME.json      the marks of each submission, for the instructor
OUT/feedback/NAME/       what the student may see (see `reports`)
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.grading.marks import FAILED, Marks
from seglib.grading.plan import Plan
from seglib.grading.submissions import Submission


def keep_plan(out: Path, plan: Plan) -> None:
    """Save what makes the marks of this folder repeatable.

    Raises:
        SeglibError: the folder contains the marks of another plan.
    """
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


def save(out: Path, submission: Submission, marks: Marks) -> None:
    """Save the marks of a submission, with a hash of its notebook."""
    record = {"content": _digest(submission), "marks": asdict(marks)}
    text = json.dumps(record, indent=1, ensure_ascii=False).encode("utf-8", "replace")
    write_atomic(_marks_file(out, submission), lambda stream: stream.write(text))


def load(out: Path, submission: Submission) -> Marks | None:
    """The marks of an earlier run, if the notebook is the same and the grader did not fail."""
    try:
        record = json.loads(_marks_file(out, submission).read_text("utf-8"))
        marks = Marks.from_json(record["marks"])
        if record["content"] == _digest(submission) and FAILED not in marks.line:
            return marks
    except (OSError, ValueError, KeyError, TypeError, SeglibError):
        pass
    return None
