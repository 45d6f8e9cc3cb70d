"""Records of learning: read from a run's log, and the ones that come with the course."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seglib.pretrained.curves import curve_of_run, learning_curves


def write_run(folder: Path) -> None:
    """Four steps of 2 s each; a validation of 10 s follows the second, another the last."""
    settings = {"command": "seglib train detr", "batch_size": 8}
    (folder / "run.json").write_text(json.dumps(settings))
    rows: list[dict[str, object]] = [
        {"step": step, "loss": 1.0, "seconds": seconds}
        for step, seconds in ((1, 2.0), (2, 4.0), (3, 16.0), (4, 18.0))
    ]
    for step, value in ((2, 0.1), (4, 0.25)):
        figures = {"mask_AP": value, "box_AP": 2 * value, "box_AP50": 0.5}
        rows.append({"step": step, "validation": figures})
    (folder / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))


def test_a_curve_counts_training_without_validations(tmp_path: Path) -> None:
    write_run(tmp_path)
    curve = curve_of_run(tmp_path, threads=3)
    assert curve.minutes == pytest.approx([4 * 3 / 60, 8 * 3 / 60])
    assert curve.images == [16, 32]
    assert curve.figures == {"mask_AP": [0.1, 0.25], "box_AP": [0.2, 0.5]}
    assert curve.command == "seglib train detr"


def test_the_recorded_curves_took_about_equal_times() -> None:
    curves = learning_curves()
    assert list(curves) == ["mask_rcnn", "maskformer", "detr"]
    longest = [curve.minutes[-1] for curve in curves.values()]
    assert min(longest) > 12
    assert max(longest) < 15
    for name, curve in curves.items():
        assert f"seglib train {name} " in curve.command
        assert curve.minutes == sorted(curve.minutes)
        assert len(curve.images) == len(curve.minutes) == len(curve.figures["mask_AP"]) >= 4
