"""Reports show what students may see, and nothing from a submission becomes markup."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.text import Text
from PIL import Image

from seglib.grading import class_summary, reports
from seglib.grading.marks import Marks, TaskMark
from seglib.grading.submissions import Submission
from seglib.plotting import lost_points

CANARY = "canary-7391"
EVIL = "<script>alert(1)</script> **bold** `code` [link](javascript:x) \x00\x1b[31m \u202e"


def marks_of(student="ada", reason="the shape is [2], not [3]") -> Marks:
    full = TaskMark("a-checks", "Task 1: areas", 2, 2.0, (3, 3), (4, 4))
    part = TaskMark("b-checks", "Task 2: boxes", 3, 0.75, (3, 4), (1, 4), [reason], [CANARY])
    return Marks(student, "90_example", 5, notes=[reason], answers="same", tasks=[full, part])


def everything(marks):
    return [
        reports.feedback_markdown(marks),
        reports.feedback_html(marks),
        json.dumps(reports.gradescope(marks)),
        reports.junit([marks]),
        reports.class_csv([Submission(marks.student, "file", None)], [marks]),
        reports.nbgrader_csv([marks]),
        class_summary.summary_markdown([marks]),
        class_summary.summary_html([marks], b""),
    ]


def written(folder, marks) -> dict[str, str]:
    """All files of a class, as text; of a PNG file what is written in it and its metadata."""
    drawn = []
    real = lost_points.show_lost_points

    def noting(*arguments, **options):
        drawn.append(real(*arguments, **options))
        return drawn[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lost_points, "show_lost_points", noting)
        reports.write_class(folder, [Submission("ada", "file", Path("x"))], [marks])
        class_summary.write_summary(folder, [marks])
    texts = {
        p.name: p.read_text("utf-8") for p in folder.rglob("*") if p.suffix not in ("", ".png")
    }
    pictures = list(folder.rglob("*.png"))
    for path, figure in zip(pictures, drawn, strict=True):
        words = [text.get_text() for text in figure.findobj(Text)]
        with Image.open(path) as image:
            texts[path.name] = "\n".join([*words, *map(str, image.info.items())])
    return texts


def test_no_file_contains_what_is_for_the_instructor_alone(tmp_path):
    """The reasons with hidden values; only OUT/marks/NAME.json has them."""
    texts = written(tmp_path, marks_of())
    assert sorted(texts) == [
        "feedback.html",
        "feedback.md",
        "junit.xml",
        "lost_points.png",
        "marks.csv",
        "nbgrader.csv",
        "results.json",
        "summary.html",
        "summary.md",
    ]
    assert "b-checks" in texts["lost_points.png"]
    assert not any(CANARY in text for text in texts.values())


def test_feedback_says_what_was_lost_and_why():
    markdown, page, *_ = everything(marks_of())
    assert "**2.75 of 5 points**" in markdown
    assert (
        "0.75 of 3 points for `b-checks`: 3 of 4 visible and 1 of 4 hidden cases pass." in markdown
    )
    assert "the shape is" in markdown
    assert "<strong>2.75</strong> of 5 points" in page


def test_it_is_said_that_hidden_checks_were_not_run():
    marks = marks_of()
    for task in marks.tasks:
        task.hidden = (0, 0)
    assert all("Only the visible checks" in text for text in everything(marks)[:2])
    assert not any("Only the visible checks" in text for text in everything(marks_of()))


def test_marks_without_a_sandbox_are_marked_as_such():
    marks = marks_of()
    marks.sandboxed = False
    markdown, page, _, _, table, _, *summaries = everything(marks)
    assert all("ithout a sandbox" in text for text in (markdown, page, *summaries))
    assert ",no," in table


def test_text_from_submissions_is_not_markup():
    marks = marks_of(EVIL, EVIL)
    markdown, page, *_ = everything(marks)
    assert "<script" not in page
    assert "<script" not in markdown
    assert "**bold**" not in markdown
    assert "](javascript" not in markdown.replace("\\]", "")
    ElementTree.fromstring(reports.junit([marks]))


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_no_cell_of_a_table_is_a_formula(name):
    row = list(csv.reader(io.StringIO(reports.nbgrader_csv([marks_of(name)]))))[1]
    assert row[3] == f"'{name}"


def test_tables_have_the_columns_of_their_readers():
    head, row = csv.reader(io.StringIO(reports.nbgrader_csv([marks_of()])))
    found = dict(zip(head, row, strict=True))
    assert (found["assignment"], found["student_id"]) == ("90_example", "ada")
    assert (found["score"], found["max_score"]) == ("2.75", "5.0")
    results = reports.gradescope(marks_of())
    assert results["score"] == 2.75
    assert [test["score"] for test in results["tests"]] == [2.0, 0.75]
    suite = ElementTree.fromstring(reports.junit([marks_of()]))[0]
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")


def test_a_class_is_written(tmp_path):
    marks = [marks_of("ada"), marks_of("bob"), Marks("eve", "", 5, line="Not marked: x.")]
    found = [Submission(m.student, "file", Path("x")) for m in marks]
    reports.write_class(tmp_path, found, marks)
    class_summary.write_summary(tmp_path, marks)
    assert "Identical answers: ada, bob." in (tmp_path / "summary.md").read_text("utf-8")
    assert (tmp_path / "feedback" / "eve" / "feedback.html").exists()
    assert (tmp_path / "lost_points.png").stat().st_size > 1000
    assert class_summary.lost_shares(marks)["90_example: b-checks"] == 0.75


def test_the_summary_counts_what_students_share():
    reasons = ["is f(2), yours 4", "is f(2), yours 5", "yours are none", "is f(2); yours is 6"]
    marks = [marks_of(f"student{number}", reason) for number, reason in enumerate(reasons)]
    marks[0].tasks[1].reasons.append("on 3 of 4 inputs that are not shown, it stops")
    marks[1].tasks[1].reasons.append("on 1 of 4 inputs that are not shown, it stops")
    assert class_summary.common_faults(marks) == {
        "90_example: b-checks": [
            (3, "is f(2)"),
            (2, "on inputs that are not shown, it stops"),
            (1, "yours are none"),
        ]
    }
    text = class_summary.summary_markdown(marks)
    assert "90\\_example: 4 submissions, 2.75 of 5 points on average, 0 with full marks." in text
    assert "- 3 students: is f(2)" in text


def test_a_task_with_two_checks_cells_has_one_heading():
    marks = marks_of()
    marks.tasks[1].title = marks.tasks[0].title
    for text in (reports.feedback_markdown(marks), reports.feedback_html(marks)):
        assert text.count("Task 1: areas") == 1
        assert "a-checks" in text
        assert "b-checks" in text


def test_feedback_shows_code_as_code():
    page = reports.feedback_html(marks_of(reason="return `a < b`, not ` <i>b</i> `"))
    assert "return <code>a &lt; b</code>, not <code> &lt;i&gt;b&lt;/i&gt; </code>" in page


def test_points_are_counted_in_the_right_number():
    assert [reports.out_of(0.5, 1), reports.out_of(2.0, 3)] == ["0.5 of 1 point", "2 of 3 points"]
