"""Every committed lesson follows the rules of CONTRIBUTING, and the guards catch violations.

The lessons are only read here; nbval runs them (`make nbval`).
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from seglib.widgets import Option, Question
from seglib.workshop import build_lesson
from tests import lesson_guards as guards

LESSONS = Path(__file__).resolve().parents[1] / "lessons"
SOURCES = sorted(path.stem for path in (LESSONS / "source").glob("[0-9]*.py"))
TEXTS = sorted((LESSONS / "source").rglob("[0-9]*.py"))
NOTEBOOKS = sorted(path.stem for path in LESSONS.glob("*.ipynb"))


def test_every_source_has_a_notebook_and_every_notebook_a_source():
    assert SOURCES == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_lesson(name):
    path = LESSONS / f"{name}.ipynb"
    assert path.stat().st_size <= guards.MAX_BYTES, f"{name} is larger than 2 MB"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    complaints = guards.check_all(notebook, name)
    complaints += guards.check_source(notebook, build_lesson(LESSONS / "source" / f"{name}.py"))
    assert not complaints, f"{name}:\n  " + "\n  ".join(complaints)


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_lines_of_sources_are_short(path):
    lines = guards.long_lines(path.read_text(encoding="utf-8"))
    assert not lines, f"lines {lines} are longer than {guards.MAX_COLUMNS} characters: break them"


def test_long_lines_are_caught():
    wide = "x" * 99
    lines = ["# " + wide, "#  " + wide[3:], "# %% " + wide, "# |" + wide, wide + "é", wide + " = 1"]
    assert guards.long_lines("\n".join(lines)) == [1, 6]


@pytest.mark.parametrize("name", SOURCES)
def test_a_lesson_takes_at_most_75_minutes_and_says_how_many(name):
    lesson = build_lesson(LESSONS / "source" / f"{name}.py")
    complaints = guards.check_time(lesson)
    print(f"{name}: {guards.reading_minutes(lesson)} minutes to read")
    assert not complaints, f"{name}: {'; '.join(complaints)}"


def test_position_and_length_do_not_give_away_the_answers_of_quizzes():
    lessons = [build_lesson(LESSONS / "source" / f"{name}.py") for name in SOURCES]
    questions = [question for lesson in lessons for question in guards.quiz_questions(lesson)]
    assert len(questions) >= 5 * len(SOURCES)
    assert guards.check_hints(questions) == []


@pytest.mark.parametrize(
    ("options", "hints"),
    [
        (["a long answer", "no", "<b>not</b> that"], 1),
        (["yes", "a long answer", "no"], 0),
        (["yes", "no", "may"], 0),
    ],
)
def test_right_options_that_stand_first_or_are_longest_are_caught(options, hints):
    questions = [
        Question(f"{n}?", [Option(text, text == options[0], "no") for text in options])
        for n in range(12)
    ]
    shuffled = [shown for question in questions for shown in guards.Quiz([question]).questions]
    found = guards.check_hints(shuffled)
    assert len([hint for hint in found if "longest" in hint]) == hints
    assert any(
        "A is the right option in 12 of 12" in hint for hint in guards.check_hints(questions)
    )


QUIZ = "\n".join(f'Question("?", [], objective="{i}")' for i in range(5))
PIXEL = {"image/png": "iVBORw0KGgo="}


def _lesson() -> nbformat.NotebookNode:
    """The smallest notebook that passes every guard."""
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    output = nbformat.v4.new_output
    cells = [text("# 90. Title\n**Time** about 3 minutes to read.", id="start")]
    cells += [text(f"## {section}", id=section) for section in guards.SECTIONS[1:]]
    cells += [
        code("print(1)", id="one", outputs=[output("stream", text="1\n")]),
        code("show()", id="two", outputs=[output("display_data", data=PIXEL)]),
        code(QUIZ, id="quiz", metadata={"tags": ["quiz"]}),
    ]
    cells[8].metadata = {"tolerance": 0.01}
    cells[9].metadata = {"mystnb": {"image": {"alt": "a picture of one pixel"}}}
    for count, cell in enumerate(cells[8:], 1):
        cell.execution_count = count
    return nbformat.v4.new_notebook(cells=cells, metadata={"seglib": {"dataset": "pocket"}})


def test_a_good_lesson_passes_the_guards():
    assert guards.check_all(_lesson(), "90_title") == []
    assert guards.check_source(_lesson(), _lesson()) == []


def _break(change: str) -> nbformat.NotebookNode:
    lesson = _lesson()
    cells = {cell.id: cell for cell in lesson.cells}
    exec(change, {"lesson": lesson, "nbformat": nbformat, **cells})
    return lesson


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("one.execution_count = 7", "execution counts"),
        ("one.outputs = []; two.outputs = []", "stripped"),
        ("one.outputs = [nbformat.v4.new_output('error')]", "ended with an error"),
        ("one.outputs[0].name = 'stderr'", "standard error"),
        ("one.id = '8edce838F'", "not of the form"),
        ("one.id = 'two'", "occurs twice"),
        ("one.source = 'x\\n' * 26", "more than 25"),
        ("one.source = two.source = 'x\\n' * 9; quiz.source += '\\n' * 4 + 'x\\n' * 4", "median"),
        ("two.metadata = {}", "without alt text"),
        ("two.outputs *= 2", "one per cell"),
        ("idea.source += '\\n![](a.png)'", "image without alt text"),
        ("lesson.metadata.seglib.dataset = 'coco'", "come from 'coco'"),
        ("del lesson.metadata['seglib']", "come from None"),
        ("one.outputs[0].text = 'saved /home/me/x.png'", "absolute path"),
        ("one.outputs[0].text = '<object at 0x7f12ab34cd>'", "memory address"),
        ("lesson.cells.remove(equality)", "its sections are"),
        ("idea.source = 'no heading'", "must be text that begins"),
        ("idea.source += '\\n# Another title'", "2 first-level headings"),
        ("quiz.source = 'pass'", "contain 0 questions"),
        ("quiz.source = quiz.source.replace('1', '0')", None),
        ("quiz.source = quiz.source.replace('objective=', 'about=')", "must name its objective"),
        ("one.metadata = {'tags': ['raises-exception']}", "raises-exception"),
        ("one.source = '# NBVAL_SKIP\\nx'", "switches nbval off"),
        ("one.metadata = {}", "no cell's output is compared"),
    ],
)
def test_the_guards_catch(change, complaint):
    found = " · ".join(guards.check_all(_break(change), "90_title"))
    assert (complaint in found) if complaint else (found == "")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("pass", ""),
        ("idea.source += ' word' * 1300; start.source = start.source.replace('3', '11')", ""),
        ("idea.source += ' word' * 260", "claims 3 minutes to read, the estimate is 5"),
        ("start.source = start.source.replace('about 3', 'about 2')", "claims 2 minutes"),
        ("start.source = start.source.replace('about 3', 'about 75')", "claims 75 minutes"),
        ("start.source = start.source.replace('minutes', 'hours')", "does not say"),
        ("idea.source += ' word' * 73 * 130", "takes 76 minutes to read, more than 75"),
    ],
)
def test_lessons_that_are_too_long_or_claim_another_time_are_caught(change, complaint):
    found = " · ".join(guards.check_time(_break(change)))
    assert (complaint in found) if complaint else (found == "")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("one.source = 'print(2)'", "its text differs"),
        ("two.metadata = {}", "its metadata differs"),
        ("lesson.cells.pop()", "cells differ from the source's: ['quiz']"),
        ("lesson.cells.reverse()", "another order"),
    ],
)
def test_a_notebook_that_differs_from_its_source_is_caught(change, complaint):
    assert complaint in " ".join(guards.check_source(_break(change), _lesson()))


def test_lesson_00_may_leave_out_three_sections():
    lesson = _break("[lesson.cells.remove(c) for c in (equality, learns, inside)]")
    assert guards.check_sections(lesson, "00_start_here") == []
    assert guards.check_sections(lesson, "02_convolution") != []
