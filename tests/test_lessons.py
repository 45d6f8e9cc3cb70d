"""Every committed lesson holds what CONTRIBUTING asks of it, and the guards catch what does not.

That the lessons run is nbval's part (`make nbval`); here they are only read.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from seglib.workshop import build_lesson
from tests import lesson_guards as guards

LESSONS = Path(__file__).resolve().parents[1] / "lessons"
SOURCES = sorted(path.stem for path in (LESSONS / "source").glob("[0-9]*.py"))
NOTEBOOKS = sorted(path.stem for path in LESSONS.glob("*.ipynb"))


def test_every_source_has_its_notebook_and_the_other_way_round():
    assert SOURCES == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_lesson(name):
    path = LESSONS / f"{name}.ipynb"
    assert path.stat().st_size <= guards.LARGEST, f"{name} is larger than 2 MB"
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    complaints = guards.all_of(notebook, name)
    complaints += guards.in_step(notebook, build_lesson(LESSONS / "source" / f"{name}.py"))
    assert not complaints, f"{name}:\n  " + "\n  ".join(complaints)


QUIZ = "\n".join(f'Question("?", [], objective="{i}")' for i in range(5))
PIXEL = {"image/png": "iVBORw0KGgo="}


def _lesson() -> nbformat.NotebookNode:
    """The smallest notebook that every guard lets pass."""
    text, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell
    output = nbformat.v4.new_output
    cells = [text("# 90. Title", id="start")]
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


def test_the_guards_let_a_good_lesson_pass():
    assert guards.all_of(_lesson(), "90_title") == []
    assert guards.in_step(_lesson(), _lesson()) == []


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
        ("two.outputs *= 2", "one a cell"),
        ("idea.source += '\\n![](a.png)'", "image without alt text"),
        ("lesson.metadata.seglib.dataset = 'coco'", "come from 'coco'"),
        ("del lesson.metadata['seglib']", "come from None"),
        ("one.outputs[0].text = 'saved /home/me/x.png'", "absolute path"),
        ("one.outputs[0].text = '<object at 0x7f12ab34cd>'", "memory address"),
        ("lesson.cells.remove(equality)", "its sections are"),
        ("idea.source = 'no heading'", "must be text that begins"),
        ("idea.source += '\\n# Another title'", "2 headings of the first level"),
        ("quiz.source = 'pass'", "hold 0 questions"),
        ("quiz.source = quiz.source.replace('1', '0')", None),
        ("quiz.source = quiz.source.replace('objective=', 'about=')", "names its objective"),
        ("one.metadata = {'tags': ['raises-exception']}", "raises-exception"),
        ("one.source = '# NBVAL_SKIP\\nx'", "nbval obeys"),
        ("one.metadata = {}", "no cell's output is compared"),
    ],
)
def test_the_guards_catch(change, complaint):
    found = " · ".join(guards.all_of(_break(change), "90_title"))
    assert (complaint in found) if complaint else (found == "")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("one.source = 'print(2)'", "its text differs"),
        ("two.metadata = {}", "its metadata differs"),
        ("lesson.cells.pop()", "cells are not the source's: ['quiz']"),
        ("lesson.cells.reverse()", "other order"),
    ],
)
def test_a_notebook_out_of_step_with_its_source_is_caught(change, complaint):
    assert complaint in " ".join(guards.in_step(_break(change), _lesson()))


def test_lesson_00_may_leave_out_what_it_has_not():
    lesson = _break("[lesson.cells.remove(c) for c in (equality, learns, inside)]")
    assert guards.anatomy(lesson, "00_start_here") == []
    assert guards.anatomy(lesson, "02_convolution") != []
