"""The reports on marks for students and instructors.

    OUT/feedback/NAME/feedback.md, feedback.html    for the student
    OUT/feedback/NAME/results.json                  the same as Gradescope reads it
    OUT/marks.csv, OUT/nbgrader.csv                 the class; the second as nbgrader exports it
    OUT/junit.xml                                   the class as JUnit XML

`class_summary` writes where the class loses its points.

Text from submissions is escaped in each of them, and the HTML is sanitised as well. Feedback
contains `TaskMark.reasons`, never its `details`: those may quote hidden values.
"""

from __future__ import annotations

import csv
import html
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jinja2
import nh3
from markupsafe import Markup, escape

from seglib.atomic import write_atomic
from seglib.grading.marks import Marks, TaskMark
from seglib.grading.submissions import Submission

TAGS = {"h1", "h2", "h3", "p", "ul", "li", "strong", "code"}
ATTRIBUTES = {"p": {"class"}, "img": {"src", "alt"}}
RULE = (
    "Each checks cell earns its points times the smaller of two shares: the visible cases that "
    "pass, and the hidden ones, which use other inputs. The result is rounded down to a quarter of "
    "a point."
)
NBGRADER = ["assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email"]
NBGRADER += ["raw_score", "late_submission_penalty", "score", "max_score"]


def points(value: float) -> str:
    """Points without needless zeros: 3, 2.5, 0.25."""
    return f"{value:g}"


def out_of(earned: float, most: int) -> str:
    """Earned and possible points in words: "0.5 of 1 point"."""
    return f"{points(earned)} of {most} point{'' if most == 1 else 's'}"


def cases_text(task: TaskMark) -> str:
    """How many cases passed, in words."""
    kinds = [("visible", task.visible), ("hidden", task.hidden)]
    parts = [f"{passed} of {count} {kind}" for kind, (passed, count) in kinds if count]
    return f"{' and '.join(parts)} cases pass" if parts else "no case was run"


def markdown_text(text: str) -> str:
    """Text on one line, with the characters of Markdown and HTML markup escaped."""
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", html.escape(" ".join(text.split()), quote=False))


def code_html(text: str) -> Markup:
    """Text as HTML, in which `backquotes` mark code."""
    return Markup(re.sub(r"`([^`\n]+)`", r"<code>\1</code>", str(escape(text))))


def _environment(autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("seglib.grading"),
        autoescape=autoescape,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"points": points, "out_of": out_of, "cases": cases_text}
    environment.filters |= {"md": markdown_text, "code": code_html}
    return environment


def render_markdown(template: str, **content: Any) -> str:
    """A template of Markdown, filled in."""
    text = _environment(autoescape=False).get_template(template).render(**content)
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def render_html(template: str, title: str, **content: Any) -> str:
    """A template of HTML, filled in: sanitised, without scripts or references to other files."""
    environment = _environment(autoescape=True)
    body = environment.get_template(template).render(**content)
    tags = TAGS | {"img"} if "picture" in content else TAGS
    body = nh3.clean(body, tags=tags, attributes=ATTRIBUTES, url_schemes={"data"})
    return environment.get_template("page.html.j2").render(title=title, body=Markup(body))


def feedback_markdown(marks: Marks) -> str:
    """The student's feedback as Markdown."""
    content = {"marks": marks, "hidden_ran": hidden_ran(marks), "rule": RULE}
    return render_markdown("feedback.md.j2", **content)


def feedback_html(marks: Marks) -> str:
    """The student's feedback as an HTML page."""
    content = {"marks": marks, "hidden_ran": hidden_ran(marks), "rule": RULE}
    title = f"{marks.assignment or 'Assignment'}: {marks.student}"
    return render_html("feedback.html.j2", title, **content)


def hidden_ran(marks: Marks) -> bool:
    """Whether hidden checks were run, or no checks at all."""
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
    """Write the tables of a class and the feedback of each student."""
    for submission, found in zip(submissions, marks, strict=True):
        write_feedback(out / "feedback" / submission.file_name, found)
    _write(out / "marks.csv", class_csv(submissions, marks))
    _write(out / "nbgrader.csv", nbgrader_csv(marks))
    _write(out / "junit.xml", junit(marks))


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
    """CSV in which no cell can be taken for a formula by a spreadsheet."""
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
                lost = out_of(task.earned, task.points)
                failure = ElementTree.SubElement(case, "failure", message=lost)
                failure.text = _xml("\n".join(task.reasons) or found.line)
        suite.set("failures", str(failures))
    ElementTree.indent(suites)
    return ElementTree.tostring(suites, "unicode", xml_declaration=True) + "\n"


def _xml(text: str) -> str:
    """Text without the characters that XML cannot contain."""
    return re.sub(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _write(path: Path, text: str) -> None:
    write_atomic(path, lambda stream: stream.write(text.encode("utf-8", "replace")))
