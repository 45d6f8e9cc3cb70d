"""Lessons bear readers who bring a few images, with classes that no shipped network knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from seglib.data import load_dataset
from seglib.workshop import build_lesson
from tests import lesson_runs
from tests.helpers import ROOT
from tests.strange_coco import NAMES, write_strange_coco

SOURCES = sorted((ROOT / "lessons" / "source").glob("[0-9]*.py"))


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
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_a_lesson_runs_to_its_end(source, images, strange):
    executed = lesson_runs.run(build_lesson(source), f"coco:{strange[images]}")
    complaints = lesson_runs.errors(executed)
    assert not complaints, f"{source.stem} on {images} images:\n  " + "\n  ".join(complaints)


def test_the_images_are_strange(strange):
    small, large = (load_dataset(f"coco:{strange[images]}") for images in (12, 60))
    assert (len(small), len(large)) == (12, 60)
    assert (small.categories.names, large.categories.names) == (NAMES[:2], NAMES)
    assert not set(NAMES) & set(load_dataset("pocket").categories.names)
    targets = [large[index][1] for index in range(len(large))]
    assert {int(label) for target in targets for label in target.labels} == {1, 2, 3}
    assert any(len(target.labels) == 0 for target in targets)
    assert any(target.iscrowd.any() for target in targets)
