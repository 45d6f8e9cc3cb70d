"""Ultralytics' folders: round trips keep every mask; bad input is named by file and line."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image

from seglib import SeglibError
from seglib.data import CocoFolder, load_dataset
from seglib.data.ultralytics_read import from_ultralytics
from seglib.data.ultralytics_write import to_ultralytics
from tests.helpers import assert_refused, run_cli
from tests.tiny_coco import build_tiny_coco


def coco(folder: Path, *segmentations: object, size: tuple[int, int] = (8, 10)) -> CocoFolder:
    """One image with the given objects, in category 7 called "thing"."""
    (folder / "val").mkdir(parents=True)
    (folder / "annotations").mkdir()
    Image.new("RGB", size[::-1]).save(folder / "val" / "5.png")
    content = {
        "images": [{"id": 5, "file_name": "5.png", "height": size[0], "width": size[1]}],
        "categories": [{"id": 7, "name": "thing"}],
        "annotations": [
            {"id": n, "image_id": 5, "category_id": 7, "segmentation": s}
            for n, s in enumerate(segmentations, start=1)
        ],
    }
    (folder / "annotations" / "instances_val.json").write_text(json.dumps(content))
    return load_dataset(f"coco:{folder}")


def there_and_back(data: CocoFolder, folder: Path) -> CocoFolder:
    to_ultralytics([data], folder / "polygons")
    from_ultralytics(folder / "polygons", folder / "back")
    return load_dataset(f"coco:{folder / 'back'}", split=data.split)


def assert_same_objects(before: CocoFolder, after: CocoFolder) -> int:
    """Every object but crowds has the same mask and category; returns their number."""
    assert after.image_ids == before.image_ids
    assert [(c.coco_id, c.name) for c in after.categories] == [
        (c.coco_id, c.name) for c in before.categories.things
    ]
    count = 0
    for (image, target), (other, found) in zip(before, after, strict=True):
        expected = target[~target.iscrowd]
        assert torch.equal(other, image)
        assert torch.equal(found.masks, expected.masks)
        ids = [before.categories.by_label(label).coco_id for label in expected.labels.tolist()]
        assert [after.categories.by_label(n).coco_id for n in found.labels.tolist()] == ids
        count += len(ids)
    return count


def test_pocket_keeps_every_mask_with_its_holes_and_parts(tmp_path: Path) -> None:
    before = load_dataset("pocket", limit=12)
    done = to_ultralytics([before], tmp_path / "u")
    assert (done.images, done.lowest_iou) == (12, 1)
    assert done.joined > 10
    back = from_ultralytics(tmp_path / "u", tmp_path / "c")
    after = load_dataset(f"coco:{tmp_path / 'c'}")
    assert assert_same_objects(before, after) == done.objects == back.objects > 50
    crowds = sum(int(target.iscrowd.sum()) for _, target in before)
    assert done.crowds == crowds


def test_photographs_of_all_kinds_keep_their_masks(tmp_path: Path) -> None:
    build_tiny_coco(tmp_path / "tiny")
    before = load_dataset(f"coco:{tmp_path / 'tiny'}")
    assert assert_same_objects(before, there_and_back(before, tmp_path)) > 3


@pytest.mark.parametrize(
    "polygons",
    [
        [[1, 1, 6, 1, 6, 6, 1, 6], [4, 4, 8, 4, 8, 7, 4, 7]],  # parts that overlap
        [[-5, -3, 4.5, 1, 5, 20]],  # beyond the image
        [[0.3, 0.2, 9.7, 1.1, 3.3, 7.9], [8, 7, 9, 7, 9, 8]],
    ],
)
def test_difficult_polygons_keep_their_masks(polygons: list[list[float]], tmp_path: Path) -> None:
    before = coco(tmp_path / "c", polygons)
    assert assert_same_objects(before, there_and_back(before, tmp_path)) == 1


def test_the_folder_is_as_ultralytics_expects_it(tmp_path: Path) -> None:
    to_ultralytics([coco(tmp_path / "c", [[0, 0, 5, 0, 5, 4]])], tmp_path / "u")
    settings = yaml.safe_load((tmp_path / "u" / "data.yaml").read_text())
    assert settings == {
        "train": "images/val",
        "val": "images/val",
        "names": {0: "thing"},
        "coco_ids": {0: 7},
    }
    label = (tmp_path / "u" / "labels" / "val" / "5.txt").read_text()
    assert label == "0 0.000000 0.000000 0.500000 0.000000 0.500000 0.500000\n"
    assert (tmp_path / "u" / "images" / "val" / "5.png").is_file()


def folder(place: Path, label: str = "1 0 0 1 0 1 1\n", **settings: object) -> Path:
    """An Ultralytics folder of one image, as someone else might have written it."""
    for name in ("images/train", "labels/train"):
        (place / name).mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(place / "images" / "train" / "a.png")
    Image.new("RGB", (20, 10)).save(place / "images" / "train" / "b.png")
    (place / "labels" / "train" / "a.txt").write_text(label)
    content = {"train": "images/train", "names": ["cat", "dog"]} | settings
    (place / "data.yaml").write_text(yaml.safe_dump(content))
    return place


@pytest.mark.parametrize("path", [None, ".", "/another/computer"])
@pytest.mark.parametrize("names", [["cat", "dog"], {0: "cat", 1: "dog"}], ids=["list", "mapping"])
def test_folders_of_others_are_read(names: object, path: str | None, tmp_path: Path) -> None:
    source = folder(tmp_path / "u", names=names, path=path, val=None)
    done = from_ultralytics(source / "data.yaml", tmp_path / "c")
    assert (done.images, done.objects) == (2, 1)  # b.png has no labels, so no objects
    data = load_dataset(f"coco:{tmp_path / 'c'}", split="train")
    assert data.categories.names == ("cat", "dog")
    (annotation,) = data.annotations(1)
    assert annotation["category_id"] == 2
    assert annotation["segmentation"] == [[0, 0, 20, 0, 20, 10]]
    assert annotation["bbox"] == [0, 0, 20, 10]
    assert annotation["area"] == int(data[0][1].masks.sum())


def test_a_folder_as_roboflow_writes_it_is_read(tmp_path: Path) -> None:
    source = folder(tmp_path / "u", train="../train/images")
    (source / "train").mkdir()
    for name in ("images", "labels"):
        (source / name / "train").rename(source / "train" / name)
    assert from_ultralytics(source, tmp_path / "c").objects == 1


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("\n0 0 0 1 0 1 x", r"a\.txt, line 2: could not convert string to float: 'x'"),
        ("2 0 0 1 0 1 1", r"a\.txt, line 1: there is no class 2: data\.yaml names 2"),
        ("0.5 0 0 1 0 1 1", "there is no class 0.5"),
        ("0 0.5 0.5 0.2 0.2", "line 1 is a box, not a polygon"),
        ("0 0 0 1 0 1", "line 1 has 5 coordinates"),
        ("0 0 0 1 0 1 1.01", r"line 1 has a coordinate outside 0…1"),
        ("0 0 0 1 0 1 nan", r"line 1 has a coordinate outside 0…1"),
    ],
)
def test_bad_labels_are_named_by_file_and_line(label: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SeglibError, match=message):
        from_ultralytics(folder(tmp_path / "u", label), tmp_path / "c")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"names": None}, r"data\.yaml has no 'names'"),
        ({"names": {0: "a", 2: "b"}}, "the numbers of 'names' must run 0…1"),
        ({"names": ["a", "a"]}, "two classes are called 'a'"),
        ({"names": ["a", 3]}, "the name 3 is not text"),
        ({"train": None}, "names no folder of images"),
        ({"train": ["images/train"]}, "'train' must be the path of one folder"),
        ({"train": "nowhere"}, "the folder of 'train' is not at"),
        ({"coco_ids": {0: 5, 1: 5}}, "'coco_ids' must give each class its own"),
    ],
)
def test_bad_settings_are_named(settings: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(SeglibError, match=message):
        from_ultralytics(folder(tmp_path / "u", **settings), tmp_path / "c")


@pytest.mark.parametrize(
    ("text", "message"),
    [("names: [", "as YAML"), ("- a", "not settings by name"), (None, "is missing")],
)
def test_a_bad_data_yaml_is_named(text: str | None, message: str, tmp_path: Path) -> None:
    source = folder(tmp_path / "u")
    if text is None:
        (source / "data.yaml").unlink()
    else:
        (source / "data.yaml").write_text(text)
    with pytest.raises(SeglibError, match=message):
        from_ultralytics(source, tmp_path / "c")


def test_nothing_is_overwritten_or_mixed(tmp_path: Path) -> None:
    data = coco(tmp_path / "c", [[0, 0, 5, 0, 5, 4]])
    for convert in (
        lambda: to_ultralytics([data], tmp_path / "c"),
        lambda: from_ultralytics(folder(tmp_path / "u"), tmp_path / "c"),
    ):
        with pytest.raises(SeglibError, match="is not empty"):
            convert()
    file = tmp_path / "c" / "annotations" / "instances_val.json"
    content = json.loads(file.read_text())
    content["images"].append({**content["images"][0], "id": 6, "file_name": "5.jpg"})
    file.write_text(json.dumps(content))
    Image.new("RGB", (10, 8)).save(tmp_path / "c" / "val" / "5.jpg")
    with pytest.raises(SeglibError, match="two images of val are called 5"):
        to_ultralytics([load_dataset(f"coco:{tmp_path / 'c'}")], tmp_path / "new")


def test_without_pyyaml_it_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(SeglibError, match="pip install pyyaml"):
        from_ultralytics(tmp_path, tmp_path / "new")
    with pytest.raises(SeglibError, match="pip install pyyaml"):
        to_ultralytics([coco(tmp_path / "c", [[0, 0, 5, 0, 5, 4]])], tmp_path / "u")
    assert not (tmp_path / "u").exists()


def test_the_command_reports_what_it_kept_and_left_out(tmp_path: Path) -> None:
    ring = [[0, 0, 8, 0, 8, 7, 0, 7], [9, 0, 10, 0, 10, 1, 9, 1]]
    coco(tmp_path / "c", ring, [[20, 20, 30, 20, 30, 30]])
    there = run_cli("data", "convert", tmp_path / "c", tmp_path / "u", "--to", "ultralytics")
    assert there.exit_code == 0, there.output
    assert "wrote 1 image and 1 object: train with Ultralytics' programs on" in there.output
    assert "1 object of several parts or with holes became one polygon each" in there.output
    assert "left out: 0 crowds, 1 object without a pixel" in there.output
    assert "IoU of each mask before and after: 1.0000 or more" in there.output
    back = run_cli("data", "convert", tmp_path / "u", tmp_path / "back", "--to", "coco")
    assert back.exit_code == 0, back.output
    assert f"use it with --dataset coco:{tmp_path / 'back'}" in back.output
    assert run_cli("data", "check", "--dataset", f"coco:{tmp_path / 'back'}").exit_code == 0
    again = run_cli("data", "convert", tmp_path / "u", tmp_path / "back", "--to", "coco")
    assert_refused(again, "is not empty: choose a new folder")
