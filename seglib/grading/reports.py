"""What a student and an instructor read of the marks.

    OUT/feedback/NAME/feedback.md, feedback.html    for the student
    OUT/feedback/NAME/results.json                  the same as Gradescope reads it
    OUT/marks.csv, OUT/nbgrader.csv                 the class; the second as nbgrader exports it
    OUT/junit.xml                                   the class as JUnit XML
    OUT/summary.md, OUT/lost_points.png             where the class loses its points

Text from submissions is escaped in each of them, and the HTML is sanitised as well. Feedback
contains `TaskMark.reasons`, never its `details`: those may quote hidden values.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import nh3

from seglib.atomic import write_atomic
from seglib.grading.scoring import Marks, TaskMark
from seglib.grading.submissions import Submission

TAGS = {"h1", "h2", "p", "ul", "li", "strong", "code"}
NBGRADER = ["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"]
NBGRADER += ["raw_score", "late_submission_penalty", "score", "max_score"]


def points(value: float) -> str:
    """Points without needless zeros: 3, 2.5, 0.25."""
    return f"{value:g}"


def cases_text(task: TaskMark) -> str:
    """How many cases passed, in words."""
    kinds = [("visible", task.visible), ("hidden", task.hidden)]
    parts = [f"{passed} of {count} {kind}" for kind, (passed, count) in kinds if count]
    return f"{' and '.join(parts)} cases pass" if parts else "no case was run"


def markdown_text(text: str) -> str:
    """Text without what Markdown or HTML would take for markup, on one line."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def _environment(autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seglib.grading"),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"points": points, "cases": cases_text, "md": markdown_text}
    return environment


def feedback_markdown(marks: Marks) -> str:
    """The student's feedback as Markdown."""
    template = _environment(autoescape=False).get_template("feedback.md.j2")
    text = template.render(marks=marks, hidden_ran=hidden_ran(marks))
    return re.sub(r"\n{3,}", "\n\n", text)


def feedback_html(marks: Marks) -> str:
    """The student's feedback as an HTML page: sanitised, without scripts or references."""
    environment = _environment(autoescape=True)
    body = environment.get_template("feedback.html.j2").render(
        marks=marks, hidden_ran=hidden_ran(marks)
    )
    body = nh3.clean(body, tags=TAGS, attributes={"p": {"class"}})
    title = f"{marks.assignment}: {marks.student}"
    page = environment.get_template("page.html.j2")
    return page.render(title=title, body=jinja2.utils.markupsafe.Markup(body))


def hidden_ran(marks: Marks) -> bool:
    """Whether hidden checks were run, or nothing was."""
    return not marks.tasks or bool(marks.line) or any(task.hidden[1] for task in marks.tasks)


def gradescope(marks: Marks) -> dict[str, Any]:
    """The marks in the form of Gradescope's results.json."""
    tests = [
        {
            "name": f"{task.title} ({task.cell})",
            "score": task.earned,
            "max_score": task.points,
            "output": "\n".join([cases_text(task), *task.reasons]),
            "output_format": "text",
            "visibility": "visible",
        }
        for task in marks.tasks
    ]
    output = "\n".join(filter(None, [marks.line, *marks.notes, *marks.forbidden]))
    return {"score": marks.earned, "output": output, "output_format": "text", "tests": tests}


def write_feedback(folder: Path, marks: Marks) -> None:
    """Write what one student may see."""
    results = json.dumps(gradescope(marks), indent=1, ensure_ascii=False)
    _write(folder / "feedback.md", feedback_markdown(marks))
    _write(folder / "feedback.html", feedback_html(marks))
    _write(folder / "results.json", results + "\n")


def write_class(out: Path, submissions: list[Submission], marks: list[Marks]) -> None:
    """Write the reports of a class and the feedback of each student."""
    for submission, found in zip(submissions, marks, strict=True):
        write_feedback(out / "feedback" / submission.file_name, found)
    _write(out / "marks.csv", class_csv(submissions, marks))
    _write(out / "nbgrader.csv", nbgrader_csv(marks))
    _write(out / "junit.xml", junit(marks))
    _write(out / "summary.md", summary(marks))
    _write_figure(out / "lost_points.png", marks)


def class_csv(submissions: list[Submission], marks: list[Marks]) -> str:
    """One row per submission, with a column for each checks cell."""
    cells = list(dict.fromkeys(task.cell for found in marks for task in found.tasks))
    head = ["student", "assignment", "earned", "points", *cells, "sandboxed", "remarks", "file"]
    rows = []
    for submission, found in zip(submissions, marks, strict=True):
        earned = {task.cell: points(task.earned) for task in found.tasks}
        remarks = "; ".join(filter(None, [found.line, *found.notes, *found.forbidden]))
        total = [points(found.earned), found.points]
        row = [found.student, found.assignment, *total, *(earned.get(cell, "") for cell in cells)]
        rows.append([*row, "yes" if found.sandboxed else "no", remarks, submission.source])
    return _csv([head, *rows])


def nbgrader_csv(marks: list[Marks]) -> str:
    """The marks in the columns, and with the numbers, of `nbgrader export`."""
    rows = []
    for found in marks:
        earned, empty = float(found.earned), ["", ""]
        row: list[Any] = [found.assignment, *empty, found.student, "", *empty]
        rows.append([*row, earned, 0.0, earned, float(found.points)])
    return _csv([NBGRADER, *rows])


def _csv(rows: Iterable[list[Any]]) -> str:
    """CSV in which no cell is a formula to a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        cells = [" ".join(str(cell).split()) for cell in row]
        writer.writerow(f"'{cell}" if cell[:1] in {"=", "+", "-", "@"} else cell for cell in cells)
    return text.getvalue()


def junit(marks: list[Marks]) -> str:
    """JUnit XML: a suite per student, a test per checks cell; lost points are failures."""
    suites = ElementTree.Element("testsuites")
    for found in marks:
        tests, failures = str(len(found.tasks)), 0
        suite = ElementTree.SubElement(suites, "testsuite", name=_xml(found.student), tests=tests)
        for task in found.tasks:
            name = _xml(f"{found.assignment}.{found.student}")
            case = ElementTree.SubElement(suite, "testcase", classname=name, name=task.cell)
            if task.earned < task.points:
                failures += 1
                lost = f"{points(task.earned)} of {task.points} points"
                failure = ElementTree.SubElement(case, "failure", message=lost)
                failure.text = _xml("\n".join(task.reasons) or found.line)
        suite.set("failures", str(failures))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot contain."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def lost_shares(marks: list[Marks]) -> dict[str, float]:
    """The share of its points that the class lost, for each checks cell."""
    earned: dict[str, float] = defaultdict(float)
    possible: dict[str, float] = defaultdict(float)
    for found in marks:
        for task in found.tasks:
            earned[f"{found.assignment}: {task.cell}"] += task.earned
            possible[f"{found.assignment}: {task.cell}"] += task.points
    return {name: 1 - earned[name] / possible[name] for name in possible}


def summary(marks: list[Marks]) -> str:
    """The class in Markdown: points per task, remarks, identical answers. For the instructor."""
    lines = ["# Summary", "", f"{len(marks)} submissions.", ""]
    if not all(found.sandboxed for found in marks):
        lines += ["**Marked without a sandbox (`--unsafe`).**", ""]
    lines += ["| checks | share of the points lost |", "| --- | --- |"]
    lines += [f"| {name} | {share:.0%} |" for name, share in lost_shares(marks).items()]
    lines += ["", "![Share of the points lost](lost_points.png)", ""]
    copies = defaultdict(list)
    for found in marks:
        if found.answers:
            copies[found.answers].append(markdown_text(found.student))
    for names in copies.values():
        if len(names) > 1:
            lines.append(f"- Identical answers: {', '.join(names)}.")
    for found in marks:
        for remark in filter(None, [found.line, *found.notes, *found.forbidden]):
            lines.append(f"- {markdown_text(found.student)}: {markdown_text(remark)}")
    return "\n".join(lines) + "\n"


def _write_figure(path: Path, marks: list[Marks]) -> None:
    from seglib.plotting.lost_points import show_lost_points

    drawn = show_lost_points(lost_shares(marks))
    write_atomic(path, lambda stream: drawn.savefig(stream, format="png"))


def _write(path: Path, text: str) -> None:
    write_atomic(path, lambda stream: stream.write(text.encode("utf-8", "replace")))
