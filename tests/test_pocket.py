"""Pocket COCO is repeatable, complete and in correct COCO format."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

from seglib.data import load_dataset
from seglib.data.assets import checkout_root
from seglib.data.pocket import SIZE, VERSION, categories, draw_scene, ensure_pocket, write_split
from seglib.data.pocket.cache import folder_hash, published_hash
from seglib.data.pocket.drawing_bar import drawing_bar
from seglib.data.pocket.outlines import outlines
from seglib.errors import SeglibError

ROOT = checkout_root()
POCKET = ROOT / "data" / "pocket"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """The first 12 scenes of the validation split, newly drawn, and their hash."""
    folder = tmp_path_factory.mktemp("pocket")
    digest = write_split(folder, "val", 12, seed=2, processes=1, progress=False)
    return folder, digest


def test_the_categories_are_those_of_coco():
    known = categories()
    assert (len(known.things), len(known.stuff)) == (12, 4)
    assert known.by_name("person").coco_id == 1
    assert known.by_name("sky-other-merged").coco_id == 187
    assert not known.by_name("sky-other-merged").is_thing


def test_a_scene_is_a_function_of_seed_and_index():
    first, again, other = draw_scene(5, 3), draw_scene(5, 3), draw_scene(5, 4)
    assert np.array_equal(first.image, again.image)
    assert np.array_equal(first.stuff, again.stuff)
    assert all(
        np.array_equal(a.mask, b.mask) for a, b in zip(first.objects, again.objects, strict=True)
    )
    assert not np.array_equal(first.image, other.image)


def test_objects_do_not_overlap_and_are_visible():
    for index in range(10):
        scene = draw_scene(11, index)
        masks = np.stack([o.mask for o in scene.objects])
        assert masks.sum(axis=0).max() <= 1
        assert masks.sum(axis=(1, 2)).min() >= 40
        assert 2 <= len(masks) <= 12
        assert scene.image.shape == (SIZE, SIZE, 3)
        assert scene.image.dtype == np.uint8


def test_several_processes_draw_the_same_as_one(drawn, tmp_path):
    _, digest = drawn
    assert write_split(tmp_path, "val", 12, seed=2, processes=2, progress=False) == digest


def test_the_committed_split_begins_with_these_scenes(drawn):
    """The code still draws what is committed: the same annotations, masks and pictures."""
    folder, _ = drawn
    fresh, kept = (
        json.loads((f / "annotations" / "instances_val.json").read_text()) for f in (folder, POCKET)
    )
    ids = {record["id"] for record in fresh["images"]}
    assert fresh["images"] == kept["images"][: len(ids)]
    strip = [{k: v for k, v in a.items() if k != "id"} for a in fresh["annotations"]]
    same = [a for a in kept["annotations"] if a["image_id"] in ids]
    assert strip == [{k: v for k, v in a.items() if k != "id"} for a in same]
    for record in fresh["images"]:
        a, b = (
            np.asarray(Image.open(f / "val" / record["file_name"])).astype(int)
            for f in (folder, POCKET)
        )
        assert np.abs(a - b).max() <= 2  # shading is floating point


def test_the_committed_split_has_the_published_hash():
    assert published_hash("val") == folder_hash(POCKET, "val")
    assert published_hash("train") is not None


def test_a_changed_mask_changes_the_hash(drawn):
    folder, digest = drawn
    assert folder_hash(folder, "val") == digest
    path = sorted((folder / "panoptic_val").iterdir())[0]
    before = path.read_bytes()
    pixels = np.array(Image.open(path))
    pixels[0, 0] = 255 - pixels[0, 0]
    Image.fromarray(pixels).save(path)
    assert folder_hash(folder, "val") != digest
    path.write_bytes(before)


def test_pycocotools_reads_it(capsys):
    coco = COCO(str(POCKET / "annotations" / "instances_val.json"))
    assert len(coco.imgs) == 300
    kinds = {"polygon": 0, "compressed": 0, "uncompressed": 0}
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        assert mask.sum() == annotation["area"]
        box = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask)))
        assert list(box) == annotation["bbox"]
        segmentation = annotation["segmentation"]
        if isinstance(segmentation, list):
            kinds["polygon"] += 1
        else:
            text = isinstance(segmentation["counts"], str)
            kinds["compressed" if text else "uncompressed"] += 1
    assert all(kinds.values()), f"a way in which COCO writes masks does not occur: {kinds}"
    assert sum(a["iscrowd"] for a in coco.anns.values()) >= 10


@pytest.mark.parametrize("touching", [[(1, 1), (2, 2)], [(1, 2), (2, 1)]])
def test_pixels_that_touch_only_at_a_corner_are_outlined_separately(touching):
    mask = np.zeros((5, 6), bool)
    mask[tuple(np.transpose(touching))] = True
    rings = outlines(mask, [1, 1, 2, 2])
    assert rings is not None
    assert sorted(min(zip(r[1::2], r[::2], strict=True)) for r in rings) == touching
    mask[1:4, 1:4] = True
    mask[2, 2] = False
    assert outlines(mask, [1, 1, 3, 3]) is None, "a hole must not be outlined"


def test_the_panoptic_map_agrees_with_the_instances():
    dataset = load_dataset("pocket", split="val", limit=20)
    for _, target in (dataset[i] for i in range(20)):
        assert target.panoptic is not None
        assert target.semantic is not None
        assert (target.panoptic.segment_map > 0).all(), "every pixel belongs to a segment"
        for mask, label, crowd in zip(target.masks, target.labels, target.iscrowd, strict=True):
            seen = target.semantic[mask].unique().tolist()
            assert seen == ([255] if crowd else [int(label)])


def test_an_incomplete_split_is_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path))
    folder = tmp_path / f"pocket-v{VERSION}"
    (folder / "annotations").mkdir(parents=True)
    (folder / "val").mkdir()
    calls = []
    monkeypatch.setattr(
        "seglib.data.pocket.cache.write_split",
        lambda *a: calls.append(a) or published_hash("train"),
    )
    ensure_pocket("train", progress=False)
    assert calls


def test_a_drawing_that_differs_from_the_published_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path))

    def draw_wrongly(folder, split, *_):
        (folder / "annotations").mkdir(parents=True)
        (folder / "annotations" / f"instances_{split}.json").write_text("{}")
        return "0" * 64

    monkeypatch.setattr("seglib.data.pocket.cache.write_split", draw_wrongly)
    with pytest.raises(SeglibError, match="draws differently"):
        ensure_pocket("train", progress=False)
    assert not list(tmp_path.rglob("instances_train.json"))


def test_only_the_requested_images_are_drawn(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path))
    monkeypatch.setattr("seglib.data.pocket.cache._committed", lambda: None)
    few = load_dataset("pocket", split="val", limit=2)
    assert "2 val images" in capsys.readouterr().err
    assert len(list((tmp_path / f"pocket-v{VERSION}" / "first-2" / "val").iterdir())) == 2
    load_dataset("pocket", split="val", limit=2)
    assert capsys.readouterr().err == "", "they are drawn once"
    monkeypatch.undo()
    same = load_dataset("pocket", split="val", limit=2)
    assert few.image_ids == same.image_ids
    for (image, target), (other, expected) in zip(few, same, strict=True):
        assert (image - other).abs().max() <= 2 / 255  # shading is floating point
        assert torch.equal(target.masks, expected.masks)


def test_a_selection_of_classes_may_need_every_image(monkeypatch):
    asked = []
    folder = ensure_pocket("val")
    monkeypatch.setattr(
        "seglib.data.pocket.ensure_pocket", lambda split, limit: asked.append(limit) or folder
    )
    load_dataset("pocket", split="val", limit=3)
    load_dataset("pocket", split="val", limit=3, categories=["person"])
    assert asked == [3, None]


def test_a_long_drawing_is_reported_by_a_line_now_and_then(monkeypatch, capsys):
    seconds = iter([0.0, 5.0, 20.0, 30.0, 40.0])
    monkeypatch.setattr("seglib.data.pocket.drawing_bar.time.monotonic", lambda: next(seconds))
    with drawing_bar("train", 80) as report:
        for done in (10, 20, 40, 80):
            report(done)
    first, second = capsys.readouterr().err.splitlines()
    assert first == "Drawing Pocket COCO's 80 train images, once: they are kept for the next time"
    assert second == "Drawing Pocket COCO: 20 of 80, about 60 s left"
    with drawing_bar("train", 80, visible=False) as report:
        report(80)
    assert capsys.readouterr().err == ""


def test_an_unknown_split_is_refused():
    with pytest.raises(SeglibError, match="train, val"):
        ensure_pocket("test")


def test_a_script_without_a_main_guard_may_draw(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from seglib.data.pocket import write_split\n"
        "print(write_split('out', 'val', 26, seed=2, processes=2, progress=False))\n"
    )
    done = subprocess.run(
        [sys.executable, script.name], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out" / "val").iterdir())) == 26
