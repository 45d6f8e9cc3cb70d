"""Opening data sets by name: folder layouts, the environment variable, and what is missing."""

import sys
import types

import pytest
import torch

from seglib.data import assets
from seglib.data.coco import CocoFolder
from seglib.data.datasets import load_dataset
from seglib.data.digests import file_sha256
from seglib.errors import SeglibError
from seglib.structures import COCO_AREA_RANGES
from tests.tiny_coco import ODD, add_panoptic, build_tiny_coco


@pytest.fixture
def folder(tmp_path):
    return build_tiny_coco(tmp_path / "tiny").folder


def test_folder_by_name(folder):
    dataset = load_dataset(f"coco:{folder}", "val")
    assert isinstance(dataset, CocoFolder)
    assert (dataset.name, dataset.split, len(dataset)) == ("coco:tiny", "val", 5)
    assert dataset.area_ranges == COCO_AREA_RANGES
    assert not dataset.has_panoptic
    assert "5 images" in repr(dataset)


def test_a_missing_split_is_replaced_by_the_other_one(folder):
    dataset = load_dataset(f"coco:{folder}", "train")
    assert dataset.notes == ["tiny has no train split: its val split is used instead"]
    assert dataset.split == "train"
    assert len(dataset) == 5


def test_both_splits(folder):
    build_tiny_coco(folder, split="train2017")
    assert load_dataset(f"coco:{folder}", "train").annotations_path.stem == "instances_train2017"
    assert load_dataset(f"coco:{folder}", "val").annotations_path.stem == "instances_val2017"


def test_panoptic_is_found(folder):
    tiny = build_tiny_coco(folder, split="train2017")
    add_panoptic(tiny)
    assert load_dataset(f"coco:{folder}", "train").has_panoptic
    (folder / "panoptic_train2017").rename(folder / "annotations" / "panoptic_train2017")
    assert load_dataset(f"coco:{folder}", "train").has_panoptic


def test_images_below_images(folder):
    (folder / "images").mkdir()
    (folder / "val2017").rename(folder / "images" / "val2017")
    assert load_dataset(f"coco:{folder}")[0][1].image_id == ODD
    (folder / "images" / "val2017").rename(folder / "images" / "other")
    with pytest.raises(SeglibError, match="no folder val2017"):
        load_dataset(f"coco:{folder}")


def test_environment_variable(folder, monkeypatch):
    monkeypatch.setenv("SEGLIB_DATASET", f"coco:{folder}")
    assert load_dataset().name == "coco:tiny"
    assert load_dataset(limit=2).image_ids == [11, 12]


def test_a_relative_path_is_found_from_here_or_from_the_checkout(folder, monkeypatch, tmp_path):
    monkeypatch.chdir(folder.parent)
    assert len(load_dataset("coco:tiny")) == 5
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(SeglibError, match="no folder tiny or "):
        load_dataset("coco:tiny")
    monkeypatch.setattr("seglib.data.datasets.checkout_root", lambda: folder.parent)
    assert len(load_dataset("coco:tiny")) == 5


def test_cached_samples_equal_fresh_ones_and_may_be_changed(folder):
    plain = load_dataset(f"coco:{folder}", size=24)
    cached = load_dataset(f"coco:{folder}", size=24, cache=True)
    for _ in range(2):  # read first, then taken from the cache
        for (image, target), (image_c, target_c) in zip(plain, cached, strict=True):
            assert max(target.size) == 24
            assert torch.equal(image, image_c)
            for name in ("boxes", "labels", "masks", "iscrowd", "area", "semantic"):
                assert torch.equal(getattr(target, name), getattr(target_c, name)), name
            image_c.zero_(), target_c.masks.zero_(), target_c.boxes.zero_()


def test_cache_keeps_panoptic_maps(folder):
    add_panoptic(build_tiny_coco(folder, split="train2017"))
    dataset = load_dataset(f"coco:{folder}", "train", cache=True)
    first, second = dataset[0][1].panoptic, dataset[0][1].panoptic
    direct = load_dataset(f"coco:{folder}", "train")[0][1].panoptic
    for panoptic in (first, second):
        assert torch.equal(panoptic.segment_map, direct.segment_map)
        assert torch.equal(panoptic.labels, direct.labels)


def test_pocket(folder, monkeypatch):
    build_tiny_coco(folder, split="train")
    ranges = {"all": (0.0, 1e10), "small": (0.0, 256.0)}
    pocket = types.ModuleType("seglib.data.pocket")
    pocket.AREA_RANGES, pocket.ensure_pocket = ranges, lambda split, limit: folder
    monkeypatch.setitem(sys.modules, "seglib.data.pocket", pocket)
    monkeypatch.setattr("seglib.data.pocket", pocket, raising=False)
    monkeypatch.delenv("SEGLIB_DATASET", raising=False)
    dataset = load_dataset(split="train")
    assert (dataset.name, dataset.area_ranges) == ("pocket", ranges)
    assert dataset.annotations_path.stem == "instances_train"


def test_coco_mini_absent_and_present(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path))
    with pytest.raises(SeglibError, match="seglib data coco-mini"):
        load_dataset("coco-mini")
    build_tiny_coco(tmp_path / "coco-mini", split="val")
    assert load_dataset("coco-mini").name == "coco-mini"


@pytest.mark.parametrize(
    ("spec", "split", "message"),
    [
        ("cooc:here", "val", "choose among pocket, coco-mini, coco:PATH"),
        ("coco:", "val", "needs the path"),
        ("coco:/no/such/folder", "val", "there is no folder /no/such/folder"),
        ("pocket", "test", "choose train or val"),
    ],
)
def test_unknown_names_and_missing_folders_are_refused(spec, split, message):
    with pytest.raises(SeglibError, match=message):
        load_dataset(spec, split)


def test_a_folder_that_is_not_coco_is_refused(tmp_path):
    with pytest.raises(SeglibError, match="is not a COCO folder"):
        load_dataset(f"coco:{tmp_path}")


def test_assets_come_from_checkout_then_cache_then_url(tmp_path, monkeypatch):
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SEGLIB_ASSETS_URL", raising=False)
    root = tmp_path / "checkout"
    (root / "data" / "cards").mkdir(parents=True)
    (root / "data" / "cards" / "a.txt").write_text("shipped")
    monkeypatch.setattr(assets, "checkout_root", lambda: root)
    assert assets.asset("cards/a.txt").read_text() == "shipped"

    monkeypatch.setattr(assets, "checkout_root", lambda: None)
    with pytest.raises(SeglibError, match="set SEGLIB_ASSETS_URL"):
        assets.asset("cards/a.txt")
    cached = tmp_path / "cache" / "assets" / "cards" / "a.txt"
    cached.parent.mkdir(parents=True)
    cached.write_text("cached")
    digest = file_sha256(cached)
    assert assets.asset("cards/a.txt", digest) == cached

    calls = []
    monkeypatch.setenv("SEGLIB_ASSETS_URL", "http://server/data/")
    monkeypatch.setattr("seglib.data.fetch.download", lambda *a: calls.append(a) or a[1])
    assets.asset("cards/a.txt", "0" * 64)  # the cached file has another digest
    assert calls == [("http://server/data/cards/a.txt", cached, "0" * 64)]


@pytest.mark.parametrize("name", ["/etc/passwd", "../pyproject.toml"])
def test_assets_stay_below_data(name):
    with pytest.raises(SeglibError, match="below data/"):
        assets.asset(name)


def test_a_cache_folder_that_cannot_be_created_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEGLIB_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(SeglibError, match="set SEGLIB_CACHE"):
        assets.cache_dir()


def test_this_checkout_is_found():
    root = assets.checkout_root()
    assert root is not None
    assert (root / "pyproject.toml").is_file()
