"""Lessons bear readers who run a cell again, and who bring images of their own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from seglib.data import load_dataset
from seglib.workshop import build_lesson
from tests import lesson_runs
from tests.helpers import ROOT
from tests.strange_coco import NAMES, write_strange_coco

LESSONS = ROOT / "lessons"
SOURCES = sorted(path.stem for path in (LESSONS / "source").glob("[0-9]*.py"))
NOTEBOOKS = sorted(path.stem for path in LESSONS.glob("[0-9]*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_cell_can_be_run_twice(name):
    stored = nbformat.read(LESSONS / f"{name}.ipynb", as_version=4)
    executed = lesson_runs.run(lesson_runs.twice(stored))
    complaints = lesson_runs.errors(executed) + lesson_runs.changed(executed, stored)
    assert not complaints, f"{name}:\n  " + "\n  ".join(complaints)


@pytest.fixture(scope="module")
def strange(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """Two folders, by their numbers of images."""
    folder = tmp_path_factory.mktemp("strange")
    return {
        images: write_strange_coco(folder / f"images{images}", images, classes)
        for images, classes in ((12, 2), (60, 3))
    }


@pytest.mark.slow
@pytest.mark.parametrize("images", [12, 60])
@pytest.mark.parametrize("name", SOURCES)
def test_lessons_run_on_images_and_classes_of_the_readers_own(name, images, strange):
    lesson = build_lesson(LESSONS / "source" / f"{name}.py")
    executed = lesson_runs.run(lesson, f"coco:{strange[images]}")
    complaints = lesson_runs.errors(executed)
    assert not complaints, f"{name} on {images} images:\n  " + "\n  ".join(complaints)


def test_the_strange_images_are_strange(strange):
    small, large = (load_dataset(f"coco:{strange[images]}") for images in (12, 60))
    assert (len(small), len(large)) == (12, 60)
    assert (small.categories.names, large.categories.names) == (NAMES[:2], NAMES)
    assert not set(NAMES) & set(load_dataset("pocket").categories.names)
    targets = [large[index][1] for index in range(len(large))]
    assert {int(label) for target in targets for label in target.labels} == {1, 2, 3}
    assert any(len(target.labels) == 0 for target in targets)
    assert any(target.iscrowd.any() for target in targets)


def test_a_cell_that_counts_its_runs_is_caught():
    code = nbformat.v4.new_code_cell
    cells = [
        code("count, text = 0, 'one'", id="start"),
        code("count += 1\nprint(count)", id="exact", metadata={"tags": ["nbval-check-output"]}),
        code("print(count + 0.01)", id="near", metadata={"tolerance": 0.1}),
        code("print(count)", id="free"),
        code("text = text.upper() if text else 1 / 0\nprint(text)\ntext = ''", id="broken"),
        code("print(object())", id="address", metadata={"tags": ["nbval-check-output"]}),
    ]
    notebook = lesson_runs.run(nbformat.v4.new_notebook(cells=cells))
    executed = lesson_runs.run(lesson_runs.twice(notebook))
    assert lesson_runs.errors(executed) == [
        "cell broken-again: ZeroDivisionError: division by zero"
    ]
    assert lesson_runs.changed(executed, notebook) == [
        "cell exact, second run: stored 1, got 2: they differ by more than 0.0",
        "cell near, first run: stored 1.01, got 2.01: they differ by more than 0.1",
        "cell near, second run: stored 1.01, got 2.01: they differ by more than 0.1",
    ]
    assert lesson_runs.errors(notebook) == []
