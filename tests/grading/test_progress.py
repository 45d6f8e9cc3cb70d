"""The record of solved tasks keeps the best result of each."""

from __future__ import annotations

from datetime import date

import pytest

from seglib.grading import progress
from seglib.grading.marks import Marks, TaskMark


def marks(*earned):
    tasks = [TaskMark(f"t{n}", "Task", 4, each) for n, each in enumerate(earned)]
    return Marks("me", "10_solo", 0, tasks=tasks)


def test_the_best_result_and_its_day_are_kept(tmp_path):
    path = tmp_path / "deep" / "progress.json"
    progress.add(path, marks(4.0, 1.0), date(2026, 11, 1))
    progress.add(path, marks(0.0, 2.0), date(2026, 11, 2))
    found = progress.add(path, marks(4.0, 2.0), date(2026, 11, 3))
    assert found == progress.read(path)
    assert found["10_solo"]["t0"] == progress.Solved(4.0, 4, "2026-11-01")
    assert found["10_solo"]["t1"] == progress.Solved(2.0, 4, "2026-11-02")
    bar, first, second = progress.picture(found, width=8)
    assert bar.split(maxsplit=1) == ["10_solo", "██████░░ 6 of 8 points"]
    assert first.split(maxsplit=2) == ["✓", "t0", "solved on 2026-11-01"]
    assert second.split(maxsplit=2) == ["·", "t1", "2 of 4"]


@pytest.mark.parametrize("text", ["", "[]", '{"10": 3}', '{"10": {"a": {"x": 1}}}', "\x00"])
def test_a_damaged_record_starts_from_scratch(tmp_path, text):
    path = tmp_path / "progress.json"
    path.write_text(text, encoding="utf-8")
    assert progress.read(path) == {}
    assert progress.add(path, marks(1.0), date(2026, 1, 1)) == progress.read(path)
    assert progress.picture({}) == []
