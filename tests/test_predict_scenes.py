"""`seglib predict` without images shows drawn scenes, and says where drawings end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from seglib import pretrained
from seglib.cli.drawn_scenes import SCENES, drawn_scenes, next_steps
from seglib.cli.prediction_records import found
from seglib.data.pocket import is_scene
from tests.fakes import tiny_fcn
from tests.helpers import assert_refused, run_cli

WARNING = "has only seen the drawn scenes of Pocket COCO"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def saved(path: Path, **notes: object) -> Path:
    return pretrained.save(tiny_fcn(), path, notes)


def test_without_arguments_it_segments_drawn_scenes() -> None:
    result = run_cli("predict")
    assert result.exit_code == 0, result.output
    assert "no images given: mask_rcnn segments 6 drawn scenes" in result.output
    assert "000002000007.png  donut, kite, potted plant" in result.output
    assert "wrote 6 overlays and predictions.json to predictions" in result.output
    assert "seglib weights maskrcnn_resnet50_fpn" in result.output
    assert WARNING not in result.output
    assert {file.name for file in Path("predictions").iterdir()} == {
        "predictions.json",
        *(f"{number:012d}.png" for number in SCENES),
    }


def test_a_model_alone_sees_the_same_scenes(tmp_path: Path) -> None:
    result = run_cli("predict", saved(tmp_path / "own.safetensors"), "--out", "out")
    assert result.exit_code == 0, result.output
    rows = json.loads(Path("out/predictions.json").read_text())
    assert [Path(row["image"]) for row in rows] == drawn_scenes()


@pytest.mark.parametrize("notes", [{"dataset": "pocket"}, {"data": {"name": "pocket"}}])
def test_a_model_trained_on_drawings_warns_about_photographs(
    notes: dict[str, object], tmp_path: Path
) -> None:
    model = saved(tmp_path / "own.safetensors", **notes)
    Image.new("RGB", (128, 128), "red").save("photo.png")
    Image.new("RGB", (90, 60), "red").save("other.jpg")
    one = run_cli("predict", model, "photo.png")
    assert one.exit_code == 0, one.output
    assert one.output.count(WARNING) == 1
    assert "so its results for photo.png mean little" in one.output
    assert "`seglib weights maskrcnn_resnet50_fpn`, then `seglib predict" in one.output
    two = run_cli("predict", model, "photo.png", "other.jpg", drawn_scenes()[0])
    assert "its results for photo.png and 1 more mean little" in two.output


def test_a_copy_of_a_scene_is_not_taken_for_a_photograph(tmp_path: Path) -> None:
    model = saved(tmp_path / "own.safetensors", dataset="pocket")
    copy = tmp_path / drawn_scenes()[0].name
    copy.write_bytes(drawn_scenes()[0].read_bytes())
    assert is_scene(copy)
    assert WARNING not in run_cli("predict", model, copy, "--out", "out").output
    Image.new("RGB", (128, 128)).save(copy)
    assert not is_scene(copy)
    assert WARNING in run_cli("predict", model, copy, "--out", "out").output


def test_a_model_of_other_data_does_not_warn(tmp_path: Path) -> None:
    model = saved(tmp_path / "own.safetensors", data={"name": "coco:mine"})
    Image.new("RGB", (90, 60)).save("photo.jpg")
    assert WARNING not in run_cli("predict", model, "photo.jpg").output
    assert pretrained.trained_on(model) == "coco:mine"
    assert pretrained.trained_on(saved(tmp_path / "bare.safetensors")) is None
    assert pretrained.trained_on(pretrained.find("mask_rcnn")) == "pocket"


def test_a_photograph_in_place_of_the_model_is_explained() -> None:
    Image.new("RGB", (90, 60)).save("photo.jpg")
    assert_refused(run_cli("predict", "photo.jpg"), "as in `seglib predict mask_rcnn photo.jpg`")


def test_the_next_steps_lead_to_photographs() -> None:
    ours, theirs = (next_steps(n, Path("a.png")) for n in ("maskformer", "detr_resnet50"))
    assert "seglib predict mask_rcnn " in ours
    assert "seglib weights maskrcnn_resnet50_fpn" in ours
    assert theirs.splitlines() == [
        "look at a.png, then try:",
        "  seglib predict detr_resnet50 photo.jpg  segment your own photograph",
    ]


def test_what_was_found_is_one_line() -> None:
    rows = [("kite", 0.9), ("donut", 0.8), ("kite", 0.5), ("cat", 0.4)]
    instances = {"instances": [{"category": name, "score": score} for name, score in rows]}
    assert found(instances, 0.5) == "kite (2), donut"
    assert found({"instances": []}, 0.5) == "nothing"
    assert found({"panoptic": [{"category": "sky"}]}, 0.5) == "sky"
    assert found({"semantic": {"sky": 0.25, "sea": 0.75}}, 0.5) == "sea 75%, sky 25%"
    assert found({"proposals": [{}, {}]}, 0.5) == "2 proposals"
