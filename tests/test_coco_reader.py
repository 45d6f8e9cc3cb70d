"""The COCO reader: irregularities of real folders are read correctly or refused by name."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from seglib.data.coco import CocoFolder
from seglib.data.images import read_image
from seglib.errors import SeglibError
from seglib.structures import IGNORE
from tests.tiny_coco import (
    CMYK,
    EMPTY,
    GREY,
    ODD,
    TURNED,
    add_panoptic,
    build_tiny_coco,
    crowd,
    ring,
)


@pytest.fixture
def tiny(tmp_path):
    return build_tiny_coco(tmp_path / "tiny")


def open_folder(tiny, **options) -> CocoFolder:
    panoptic_json = tiny.json_path.with_name(f"panoptic_{tiny.split}.json")
    maps = tiny.folder / f"panoptic_{tiny.split}"
    panoptic = (panoptic_json, maps) if panoptic_json.exists() else None
    return CocoFolder(tiny.images, tiny.json_path, panoptic, **options)


def sample(tiny, image_id, **options):
    dataset = open_folder(tiny, **options)
    return dataset[dataset.image_ids.index(image_id)]


def test_categories_follow_coco_ids(tiny):
    dataset = open_folder(tiny)
    assert dataset.categories.names == ("person", "dog", "bottle")
    assert [c.coco_id for c in dataset.categories] == [1, 18, 44]
    assert len(dataset) == 5
    assert dataset.image_ids == [ODD, GREY, CMYK, TURNED, EMPTY]
    assert dataset.check() == []
    assert dataset.notes == []


def test_polygons_and_both_kinds_of_run_lengths(tiny):
    image, target = sample(tiny, ODD)
    assert image.shape == (3, 37, 53)
    assert image.dtype == torch.float32
    assert 0 <= image.min() < image.max() <= 1
    assert target.labels.tolist() == [2, 3, 1]
    assert target.iscrowd.tolist() == [False, False, True]
    assert target.boxes.tolist() == [[10, 5, 40, 25], [12, 6, 20, 14], [0, 0, 53, 34]]
    assert target.area.tolist() == [ring().sum(), 64, crowd().sum()]
    assert target.truth.area.tolist() == [600, 64, 53 * 34]  # as annotated
    np.testing.assert_array_equal(target.masks[0].numpy(), ring())
    assert target.masks[1].nonzero().aminmax(dim=0).max.tolist() == [13, 19]
    np.testing.assert_array_equal(target.masks[2].numpy(), crowd())
    assert (target.size, target.image_id) == ((37, 53), ODD)


def test_semantic_map_smaller_on_top_and_crowd_ignored(tiny):
    _, target = sample(tiny, ODD)
    expected = np.zeros((37, 53), dtype=np.int64)
    expected[ring()] = 2
    expected[6:14, 12:20] = 3  # the bottle lies within the ring and is smaller
    expected[crowd()] = IGNORE
    np.testing.assert_array_equal(target.semantic.numpy(), expected)


def test_grey_photograph(tiny):
    image, target = sample(tiny, GREY)
    assert image.shape == (3, 20, 31)
    assert (image - 100 / 255).abs().max() < 0.02
    assert len(target) == 1  # two polygons, one object
    assert target.masks[0, 5, 5]
    assert target.masks[0, 6, 20]
    assert not target.masks[0, 5, 12]


def test_cmyk_photograph(tiny):
    red, green, blue = sample(tiny, CMYK)[0].mean(dim=(1, 2)).tolist()
    assert red < 0.1
    assert green > 0.9
    assert blue > 0.9


def test_exif_rotation_is_applied_if_the_annotations_are_for_the_rotated_image(tiny):
    image, target = sample(tiny, TURNED)
    assert image.shape == (3, 40, 30)
    assert image[:, :18].mean() > 0.9  # white half on top
    assert image[:, 22:].mean() < 0.1
    assert target.masks[0, :20].all()
    assert not target.masks[0, 20:].any()


def test_exif_rotation_is_ignored_if_the_annotations_are_for_the_stored_pixels(tiny):
    tiny.content["images"][3].update(width=40, height=30)
    tiny.content["annotations"] = []
    tiny.save()
    image, _ = sample(tiny, TURNED)
    assert image.shape == (3, 30, 40)
    assert image[:, :, :18].mean() > 0.9
    # Without annotations, a photograph is shown as a viewer shows it.
    assert read_image(tiny.images / f"{TURNED:012d}.jpg").shape == (3, 40, 30)


def test_sixteen_bit_grey(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 6), 0x8000, dtype=np.uint16)).save(path)
    assert torch.equal(read_image(path), torch.full((3, 4, 6), 128, dtype=torch.uint8))


def test_image_without_annotations(tiny):
    _, target = sample(tiny, EMPTY)
    assert len(target) == 0
    assert target.boxes.shape == (0, 4)
    assert target.masks.shape == (0, 9, 50)
    assert target.semantic.eq(0).all()


def test_objects_with_empty_boxes_are_left_out_with_a_note(tiny):
    tiny.annotation(1)["bbox"][2] = 0
    tiny.annotation(5)["bbox"][3] = 0.0
    tiny.save()
    dataset = open_folder(tiny)
    assert dataset.notes == [
        "2 objects are left out of training because their boxes have no area inside the image "
        "(annotations 1, 5); an evaluation counts them"
    ]
    assert len(dataset[0][1]) == 2
    assert len(dataset[0][1].truth) == 3
    assert len(dataset[2][1]) == 0
    assert len(dataset[2][1].truth) == 1


def test_objects_without_a_single_pixel_are_left_out_of_training(tiny):
    tiny.annotation(2)["segmentation"] = [[3.0, 3.0, 3.1, 3.0, 3.0, 3.1]]
    tiny.save()
    _, target = sample(tiny, ODD)
    assert target.labels.tolist() == [2, 1]
    assert target.truth.labels.tolist() == [2, 3, 1]


def test_optional_fields(tiny):
    for name in ("bbox", "area", "iscrowd"):
        del tiny.annotation(2)[name]
    tiny.save()
    _, target = sample(tiny, ODD)
    assert target.boxes[1].tolist() == [12, 6, 20, 14]
    assert target.area[1] == target.truth.area[1] == 64
    assert not target.iscrowd[1]


def test_boxes_are_clipped_to_the_image_for_training_alone(tiny):
    tiny.annotation(1)["bbox"] = [-2.1, 5, 60.5, 20]
    tiny.save()
    _, target = sample(tiny, ODD)
    assert target.boxes[0].tolist() == [0, 5, 53, 25]
    assert target.truth.boxes[0].tolist() == [-2.1, 5, -2.1 + 60.5, 25]
    assert target.truth.boxes.dtype == target.truth.area.dtype == torch.float64


def test_the_truth_is_resized_in_its_own_precision_without_loss(tiny):
    tiny.annotation(2)["segmentation"] = [[3.0, 3.0, 3.1, 3.0, 3.0, 3.1]]
    tiny.annotation(2)["bbox"] = [50.3, 6, 20, 14]
    tiny.save()
    _, target = sample(tiny, ODD, size=106, cache=True)
    assert target.labels.tolist() == [2, 1]
    assert target.truth.boxes[1].tolist() == [100.6, 12, 2 * (50.3 + 20), 40]
    assert target.truth.area.tolist() == [2400, 256, 4 * 53 * 34]
    assert target.truth.masks.shape == (3, 74, 106)


def test_a_selection_of_rows_has_no_other_truth(tiny):
    _, target = sample(tiny, ODD)
    assert len(target[~target.iscrowd].to_find) == 2


def change_annotation(tiny, annotation_id, **changes):
    tiny.annotation(annotation_id).update(changes)
    tiny.save()


REFUSED_AT_OPENING = {
    "unknown category": ({"category_id": 77}, r"annotation 4: unknown category id 77.*add"),
    "unknown image": ({"image_id": 99}, r"annotation 4 belongs to image 99.*remove"),
    "box of three": ({"bbox": [1, 2, 3]}, r"annotation 4: 'bbox' must be four numbers"),
    "box of words": ({"bbox": [1, 2, 3, "4"]}, r"annotation 4: 'bbox' must be four numbers"),
    "list of images": ({"image_id": [1]}, r"annotation 4: 'image_id' must be a whole number"),
    "list of categories": ({"category_id": [1]}, r"annotation 4: 'category_id' must be a whole"),
    "area of words": ({"area": "x"}, r"annotation 4: 'area' must be a number, not 'x'"),
    "area beyond numbers": ({"area": float("nan")}, r"annotation 4: 'area' must be a number"),
    "image of truth": ({"image_id": True}, r"'image_id' must be a whole number, not True"),
    "image as text": ({"image_id": "12"}, r"'image_id' must be a whole number, not '12'"),
    "category of truth": ({"category_id": True}, r"'category_id' must be a whole number, not True"),
    "box of truth": ({"bbox": [1, 2, True, 4]}, r"'bbox' must be four numbers"),
    "box of 400 digits": ({"bbox": [1, 2, 10**400, 4]}, r"'bbox' must be four numbers"),
    "box beyond numbers": ({"bbox": [1, 2, float("nan"), 4]}, r"'bbox' must be four numbers"),
    "area of truth": ({"area": True}, r"'area' must be a number, not True"),
    "crowd of words": ({"iscrowd": "x"}, r"annotation 4: 'iscrowd' must be 0 or 1, not 'x'"),
}


@pytest.mark.parametrize("fault", REFUSED_AT_OPENING)
def test_faults_are_refused_at_opening_by_name(tiny, fault):
    changes, message = REFUSED_AT_OPENING[fault]
    change_annotation(tiny, 4, **changes)
    with pytest.raises(SeglibError, match=message) as caught:
        open_folder(tiny)
    assert str(tiny.json_path) in str(caught.value)


REFUSED_AT_READING = {
    "no segmentation": (None, "polygons or run lengths"),
    "empty segmentation": ([], "polygons or run lengths"),
    "points as text": ([["1", "2", "3", "4", "5", "7"]], "list of numbers"),
    "points of truth values": ([[True, False, True, True, False, True]], "list of numbers"),
    "points beyond numbers": ([[1, 2, 3, 4, float("nan"), 7]], "not numbers"),
    "points of 400 digits": ([[1, 2, 3, 4, 10**400, 7]], "list of numbers"),
    "two points": ([[1, 2, 3, 4]], "three points"),
    "runs of a different size": ({"size": [5, 5], "counts": [25]}, r"\[5, 5\].*\[20, 31\]"),
    "runs of no size": ({"size": 5, "counts": [25]}, r"size 5.*\[20, 31\]"),
    "runs too short": ({"size": [20, 31], "counts": [25]}, "620 pixels"),
    "runs of words": ({"size": [20, 31], "counts": ["620"]}, "whole numbers"),
    "runs of truth values": ({"size": [20, 31], "counts": [True, 619]}, "whole numbers"),
    "runs of nothing": ({"size": [20, 31], "counts": None}, "whole numbers"),
    "broken string": ({"size": [20, 31], "counts": "~~"}, "malformed"),
}


@pytest.mark.parametrize("fault", REFUSED_AT_READING)
def test_faults_are_refused_at_reading_by_name(tiny, fault):
    segmentation, message = REFUSED_AT_READING[fault]
    change_annotation(tiny, 4, segmentation=segmentation)
    dataset = open_folder(tiny)
    with pytest.raises(SeglibError, match=message) as caught:
        dataset[1]
    assert f"image {GREY}: annotation 4" in str(caught.value)
    assert str(tiny.json_path) in str(caught.value)


def test_missing_and_truncated_files_are_named_and_listed(tiny):
    gone, cut = tiny.images / f"{ODD:012d}.jpg", tiny.images / f"{EMPTY:012d}.jpg"
    gone.unlink()
    cut.write_bytes(cut.read_bytes()[:-200])
    (tiny.images / f"{GREY:012d}.jpg").write_text("<html>not found</html>")
    dataset = open_folder(tiny)
    with pytest.raises(SeglibError, match=f"{ODD:012d}.jpg is missing"):
        dataset[0]
    with pytest.raises(SeglibError, match=f"cannot read .*{EMPTY:012d}.jpg .*truncated"):
        dataset[4]
    faults = dataset.check()
    assert len(faults) == 3
    assert "intact file" in faults[1]


def test_an_image_of_the_wrong_size_is_refused(tiny):
    tiny.content["images"][0].update(width=54)
    tiny.save()
    with pytest.raises(SeglibError, match=r"is 53 x 37 px, but its annotations are for 54 x 37"):
        sample(tiny, ODD)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("categories"), "no list 'categories'"),
        (lambda c: c["categories"].append(c["categories"][0]), "must be unique"),
        (lambda c: c["categories"][0].pop("name"), "category 18 has no field 'name'"),
        (lambda c: c["images"].append(c["images"][0]), "image id 11 is used twice"),
        (lambda c: c["images"][0].pop("width"), "image 11 has no field 'width'"),
        (lambda c: c["images"][0].update(id=[1]), r"image \[1\]: 'id' must be a whole number"),
        (lambda c: c["images"][0].update(height=0), "image 11 has 53 x 0 px"),
        (lambda c: c["images"][1].update(file_name=None), "image 12: 'file_name' must be text"),
        (lambda c: c["images"].insert(1, 3), "entry 1 of 'images' is 3, not a record"),
        (lambda c: c["annotations"].insert(0, 3), "entry 0 of 'annotations' is 3, not a record"),
        (lambda c: c["annotations"].insert(0, {}), "annotation number 1, without id, has no"),
        (lambda c: c["categories"].insert(0, 3), "entry 0 of 'categories' is 3, not a record"),
        (lambda c: c["categories"][0].update(id="x"), "category x: 'id' must be a whole number"),
        (lambda c: c["categories"][0].update(name=None), "category 18: 'name' must be text"),
        (lambda c: c["categories"][0].update(isthing="x"), "category 18: 'isthing' must be 0 or"),
        (lambda c: (c["annotations"].clear(), c["categories"].clear()), "has no categories"),
        (lambda c: c["images"].clear() or c["annotations"].clear(), "no image"),
    ],
)
def test_malformed_files_are_refused(tiny, change, message):
    tiny.content = json.loads(json.dumps(tiny.content))
    change(tiny.content)
    tiny.save()
    with pytest.raises(SeglibError, match=message) as caught:
        open_folder(tiny)
    assert str(tiny.json_path) in str(caught.value)


def test_a_colour_written_as_text_is_replaced(tiny):
    colors = [category.color for category in open_folder(tiny).categories]
    tiny.content = json.loads(json.dumps(tiny.content))
    tiny.content["categories"][0]["color"] = "#0af3b2"
    tiny.save()
    assert [category.color for category in open_folder(tiny).categories] == colors


def test_a_file_that_is_not_json_or_missing_is_refused(tiny):
    tiny.json_path.write_text("{")
    with pytest.raises(SeglibError, match="as JSON"):
        open_folder(tiny)
    tiny.json_path.unlink()
    with pytest.raises(SeglibError, match="is missing"):
        open_folder(tiny)


def test_panoptic_annotation(tiny):
    add_panoptic(tiny)
    dataset = open_folder(tiny)
    assert dataset.has_panoptic
    assert dataset.categories.names == ("person", "dog", "bottle", "sand")
    assert [c.name for c in dataset.categories.stuff] == ["sand"]
    _, target = dataset[0]
    expected = np.full((37, 53), IGNORE)  # unlabelled where there is no segment
    expected[:, :26] = 4
    expected[2:8, 3:9] = 2
    expected[-2:] = IGNORE  # the crowd
    np.testing.assert_array_equal(target.semantic.numpy(), expected)
    panoptic = target.panoptic
    assert panoptic.ids.tolist() == [1, 2, 3]
    assert panoptic.labels.tolist() == [4, 2, 1]
    assert panoptic.iscrowd.tolist() == [False, False, True]
    assert (panoptic.segment_map == 2).sum() == 36
    assert panoptic.segment_map[-1].eq(3).all()
    assert panoptic.segment_map[0, 40] == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.insert(0, 3), "entry 0 of 'annotations' is 3, not a record"),
        (lambda c: c[0].update(image_id=[1]), "entry 0 of 'annotations': 'image_id' must be a"),
        (lambda c: c[0].pop("file_name"), "image 11 has no field 'file_name'"),
        (lambda c: c[0].update(segments_info=3), "image 11 has no list 'segments_info'"),
        (lambda c: c[0]["segments_info"].append(3), "image 11: entry 3 of 'segments_info' is 3"),
        (lambda c: c[0]["segments_info"][0].update(id="x"), "image 11: 'id' must be a whole"),
        (lambda c: c[0]["segments_info"][0].update(category_id=[1]), "image 11: 'category_id'"),
        (lambda c: c[0]["segments_info"][0].update(category_id=77), "image 11: unknown category"),
        (lambda c: c[0]["segments_info"][0].update(iscrowd="x"), "image 11: 'iscrowd' must be 0"),
    ],
)
def test_malformed_panoptic_files_are_refused(tiny, change, message):
    add_panoptic(tiny)
    path = tiny.json_path.with_name("panoptic_val2017.json")
    content = json.loads(path.read_text())
    change(content["annotations"])
    path.write_text(json.dumps(content))
    with pytest.raises(SeglibError, match=message) as caught:
        open_folder(tiny)
    assert str(path) in str(caught.value)


def test_panoptic_files_of_another_version_are_refused(tiny):
    add_panoptic(tiny)
    path = tiny.json_path.with_name("panoptic_val2017.json")
    content = json.loads(path.read_text())
    content["annotations"][0]["segments_info"].pop()
    path.write_text(json.dumps(content))
    with pytest.raises(SeglibError, match="segment 300, which 'segments_info' does not list"):
        sample(tiny, ODD)
    content["annotations"].pop(0)
    path.write_text(json.dumps(content))
    with pytest.raises(SeglibError, match="no entry for image 11"):
        sample(tiny, ODD)
    content["categories"][0]["name"] = "wolf"
    path.write_text(json.dumps(content))
    with pytest.raises(SeglibError, match="do not belong together"):
        open_folder(tiny)


def test_selected_categories(tiny):
    dataset = open_folder(tiny, categories=["bottle", "person"])
    assert dataset.categories.names == ("person", "bottle")
    assert dataset.image_ids == [ODD, GREY, CMYK, TURNED]
    assert dataset[0][1].labels.tolist() == [2, 1]
    assert set(dataset[0][1].semantic.unique().tolist()) == {0, 2, IGNORE}
    with pytest.raises(SeglibError, match="no category is called 'wolf'"):
        open_folder(tiny, categories=["wolf"])


def test_selected_categories_with_panoptic(tiny):
    add_panoptic(tiny)
    _, target = open_folder(tiny, categories=["dog"])[0]
    assert target.semantic[5, 5] == 1
    assert target.semantic[20, 5] == 0  # sand was not selected: background
    assert target.semantic[5, 50] == IGNORE  # no segment: unlabelled


def test_limit_and_select(tiny):
    assert open_folder(tiny, limit=2).image_ids == [ODD, GREY]
    with pytest.raises(SeglibError, match="at least 1, not 0"):
        open_folder(tiny, limit=0)
    dataset = open_folder(tiny)
    selection = dataset.select([EMPTY, ODD])
    assert selection.image_ids == [EMPTY, ODD]
    assert selection[1][1].image_id == ODD
    assert len(dataset) == 5
    with pytest.raises(SeglibError, match="has no image"):
        dataset.select([99])


def test_raw_records(tiny):
    dataset = open_folder(tiny)
    assert [a["id"] for a in dataset.annotations(ODD)] == [1, 2, 3]
    assert dataset.image_path(GREY).is_file()
    assert dataset.record(TURNED).size == (40, 30)
    with pytest.raises(SeglibError, match="lists no image 99"):
        dataset.annotations(99)


@pytest.mark.real_data
@pytest.mark.skipif("SEGLIB_REAL_COCO" not in os.environ, reason="SEGLIB_REAL_COCO is not set")
def test_real_folder_reads_without_a_fault():
    from seglib.data.datasets import load_dataset

    folder = Path(os.environ["SEGLIB_REAL_COCO"])
    for split in ("train", "val"):
        dataset = load_dataset(f"coco:{folder}", split)
        assert len(dataset) > 50
        assert dataset.check() == []
