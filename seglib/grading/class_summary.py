"""An instructor's summary of a class: where points are lost and why, copies, and remarks.

    OUT/summary.md, OUT/summary.html     the same text; the page contains the figure
    OUT/lost_points.png                  the figure

Like the feedback, it contains `TaskMark.reasons` and never `TaskMark.details`.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from seglib.atomic import write_atomic
from seglib.counted import counted
from seglib.grading.marks import Marks
from seglib.grading.reports import out_of, render_html, render_markdown

MAX_FAULTS = 3  # per checks cell
HIDDEN_REASON = re.compile(r"^on \d+ of \d+ (inputs that are not shown, .*)", re.DOTALL)
OWN_VALUE = re.compile(r"[,;: ]*\b[Yy]ours?\b")  # what follows is different for each student


def lost_shares(marks: list[Marks]) -> dict[str, float]:
    """The share of its points that the class lost, for each checks cell."""
    earned: dict[str, float] = defaultdict(float)
    possible: dict[str, float] = defaultdict(float)
    for found in marks:
        for task in found.tasks:
            earned[f"{found.assignment}: {task.cell}"] += task.earned
            possible[f"{found.assignment}: {task.cell}"] += task.points
    return {name: 1 - earned[name] / possible[name] for name in possible}


def common_faults(marks: list[Marks]) -> dict[str, list[tuple[int, str]]]:
    """For each checks cell that lost points, how many students share the most common reasons.

    Only the part of a reason before the student's own value counts: "expected 3, yours 4" and
    "expected 3, yours 5" are the same fault.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for found in marks:
        for task in found.tasks:
            counts[f"{found.assignment}: {task.cell}"].update({_fault(r) for r in task.reasons})
    return {
        name: [(count, fault) for fault, count in _most_common(faults)]
        for name, faults in counts.items()
        if faults
    }


def _most_common(faults: Counter[str]) -> list[tuple[str, int]]:
    return sorted(faults.items(), key=lambda item: (-item[1], item[0]))[:MAX_FAULTS]


def _fault(reason: str) -> str:
    if hidden := HIDDEN_REASON.match(reason):
        return f"on {hidden[1]}"
    return OWN_VALUE.split(reason, maxsplit=1)[0] or reason


def _averages(marks: list[Marks]) -> list[str]:
    """A sentence for each assignment."""
    classes: dict[str, list[Marks]] = defaultdict(list)
    for found in marks:
        classes[found.assignment].append(found)
    lines = []
    for name, those in classes.items():
        mean = sum(found.earned for found in those) / len(those)
        full = sum(0 < found.points == found.earned for found in those)
        lines.append(
            f"{name or 'No assignment recognised'}: {counted(len(those), 'submission')}, "
            f"{out_of(round(mean, 2), max(found.points for found in those))} on average, "
            f"{full} with full marks"
        )
    return lines


def _content(marks: list[Marks]) -> dict[str, Any]:
    copies = defaultdict(list)
    for found in marks:
        if found.answers:
            copies[found.answers].append(found.student)
    remarks = [
        (found.student, remark)
        for found in marks
        for remark in filter(None, [found.line, *found.notes, *found.forbidden])
    ]
    return {
        "averages": _averages(marks),
        "sandboxed": all(found.sandboxed for found in marks),
        "lost": lost_shares(marks),
        "faults": {
            name: [f"{counted(count, 'student')}: {fault}" for count, fault in faults]
            for name, faults in common_faults(marks).items()
        },
        "copies": [", ".join(names) for names in copies.values() if len(names) > 1],
        "remarks": remarks,
    }


def summary_markdown(marks: list[Marks]) -> str:
    """The class in Markdown."""
    return render_markdown("summary.md.j2", **_content(marks))


def summary_html(marks: list[Marks], figure: bytes) -> str:
    """The class as an HTML page that contains the figure, given as a PNG file's bytes."""
    picture = f"data:image/png;base64,{base64.b64encode(figure).decode()}"
    return render_html("summary.html.j2", "Summary", picture=picture, **_content(marks))


def write_summary(out: Path, marks: list[Marks]) -> None:
    """Write the texts and the figure."""
    from seglib.plotting.lost_points import show_lost_points

    drawn = io.BytesIO()
    show_lost_points(lost_shares(marks)).savefig(drawn, format="png")
    files = {
        "lost_points.png": drawn.getvalue(),
        "summary.md": summary_markdown(marks).encode("utf-8", "replace"),
        "summary.html": summary_html(marks, drawn.getvalue()).encode("utf-8", "replace"),
    }
    for name, content in files.items():
        write_atomic(out / name, partial(_put, content))


def _put(content: bytes, stream: BinaryIO) -> None:
    stream.write(content)
