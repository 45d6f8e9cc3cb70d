"""`seglib predict` never overwrites a photograph and never loses a finished result."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from PIL import Image

from seglib import pretrained
from tests.fakes import tiny_fcn
from tests.helpers import assert_refused, run_cli


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return pretrained.save(tiny_fcn(), tmp_path_factory.mktemp("models") / "tiny.safetensors")


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "c.png"):
        Image.new("RGB", (40, 40), "red").save(folder / name)
    return folder


@pytest.mark.parametrize("way", ["same", "here", "around", "link"])
def test_no_photograph_is_overwritten(way, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(photos)
    if way == "link":
        (tmp_path / "linked").symlink_to(photos)
    out = {"same": photos, "here": ".", "around": "../photos", "link": tmp_path / "linked"}[way]
    before = (photos / "a.png").read_bytes()
    result = run_cli("predict", "no/such/model", photos, "--out", out)  # before the model is loaded
    assert_refused(result, "a.png would be overwritten by its own overlay: choose another --out")
    assert (photos / "a.png").read_bytes() == before
    assert sorted(os.listdir(photos)) == ["a.png", "c.png"]


def test_photographs_of_another_kind_may_have_their_overlays_beside_them(model, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "a.jpg")
    for _ in range(2):  # an earlier overlay may be overwritten
        result = run_cli("predict", model, tmp_path / "a.jpg", "--out", tmp_path)
        assert result.exit_code == 0, result.output
    assert sorted(os.listdir(tmp_path)) == ["a.jpg", "a.png", "predictions.json"]


def test_an_unreadable_photograph_does_not_stop_the_others(model, photos, tmp_path):
    (photos / "b.png").write_text("no picture")
    out = tmp_path / "out"
    result = run_cli("predict", model, photos, "--out", out)
    assert_refused(result, "1 of 3 images could not be read: b.png")
    assert "left out: cannot read" in result.output
    assert sorted(os.listdir(out)) == ["a.png", "c.png", "predictions.json"]
    rows = json.loads((out / "predictions.json").read_text())
    assert [row["overlay"] for row in rows] == ["a.png", "c.png"]


def test_hidden_files_and_unread_formats_are_left_out_with_a_message(model, photos, tmp_path):
    (photos / "._a.png").write_bytes(b"\x00\x05\x16\x07Mac OS X")
    (photos / "phone.HEIC").write_bytes(b"ftypheic")
    Image.new("RGB", (40, 40)).save(photos / "d.jfif", format="JPEG")
    Image.new("RGB", (40, 40)).save(photos / "e.tif")
    out = tmp_path / "out"
    result = run_cli("predict", model, photos, "--out", out)
    assert result.exit_code == 0, result.output
    assert "left out 1 hidden file, such as ._a.png" in result.output
    assert "such as phone.HEIC" in result.output
    assert len(json.loads((out / "predictions.json").read_text())) == 4


def test_nothing_is_written_when_the_first_cannot_be_read(model, tmp_path):
    (tmp_path / "b.png").write_text("no picture")
    assert_refused(
        run_cli("predict", model, tmp_path / "b.png", "--out", tmp_path / "out"), "b.png"
    )
    assert os.listdir(tmp_path / "out") == []


def test_a_missing_photograph_is_reported_before_any_is_predicted(model, photos, tmp_path):
    result = run_cli("predict", model, photos, tmp_path / "none.jpg", "--out", tmp_path / "out")
    assert_refused(result, "none.jpg does not exist: give a photograph, or a folder of them")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["predictions.json", "a.png"])
def test_a_folder_in_the_way_is_reported_before_any_is_predicted(name, model, photos, tmp_path):
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    assert_refused(
        run_cli("predict", model, photos, "--out", out), f"{name} is a folder: move it away"
    )
    assert os.listdir(out) == [name]


def test_a_file_in_place_of_the_folder_is_refused(model, photos, tmp_path):
    (tmp_path / "out").write_text("mine")
    assert_refused(
        run_cli("predict", model, photos, "--out", tmp_path / "out"), "out is a file, not a folder"
    )
    assert_refused(
        run_cli("predict", model, photos, "--out", tmp_path / "out" / "in"),
        "out/in: Not a directory",
    )
    assert (tmp_path / "out").read_text() == "mine"


def test_names_that_are_not_utf8_are_kept(model, tmp_path):
    source = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    try:
        Image.new("RGB", (40, 40)).save(source)
    except OSError:
        pytest.skip("this file system takes only UTF-8")
    result = run_cli("predict", model, source, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    (entry,) = json.loads((tmp_path / "out" / "predictions.json").read_text(encoding="utf-8"))
    assert entry["image"] == str(source)
