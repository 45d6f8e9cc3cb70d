"""`seglib data check` lists every fault of a data set, and what is left out and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seglib.data.checking import Findings, check_dataset
from seglib.data.coco import CocoFolder
from seglib.data.datasets import load_dataset
from seglib.errors import SeglibError
from tests.fakes import write_squares
from tests.helpers import assert_refused, run_cli
from tests.tiny_coco import TinyCoco, add_panoptic, build_tiny_coco

Content = dict[str, Any]


@pytest.fixture
def tiny(tmp_path) -> TinyCoco:
    tiny = build_tiny_coco(tmp_path / "tiny")
    tiny.content = json.loads(json.dumps(tiny.content))
    return tiny


def checked(tiny: TinyCoco) -> Findings:
    tiny.save()
    return check_dataset(f"coco:{tiny.folder}")


def edit(folder: Path, change: Callable[[Content], object]) -> str:
    """Change the annotations of a folder of `write_squares`; returns how to name it."""
    for path in (folder / "annotations").glob("*.json"):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
    return f"coco:{folder}"


def test_an_intact_folder_has_no_faults(tiny):
    found = checked(tiny)
    assert found.faults == []
    assert (found.images, found.objects, found.crowds) == (5, 6, 1)
    assert found.notes == [
        "1 image without objects: good as negatives, if that is what they are (image 15)"
    ]
    assert run_cli("data", "check", "-d", f"coco:{tiny.folder}").exit_code == 0


def test_all_faults_are_reported_together(tiny):
    records = tiny.content["annotations"]
    records[0]["bbox"] = [True, 1, 2, 3]
    records[1]["bbox"] = ["1", 2, 3, 4]
    records[2]["area"] = float("nan")
    records[3]["image_id"] = "12"
    records[4]["category_id"] = True
    records[5]["segmentation"] = [[1, 2, 3]]
    records += [3, {}]
    images = tiny.content["images"]
    images += [dict(images[0]), {**images[0], "id": 1.5}, {**images[0], "id": 99, "height": 0}]
    (tiny.images / images[1]["file_name"]).unlink()
    (tiny.images / images[2]["file_name"]).write_bytes(b"junk")
    found = checked(tiny)
    expected = [
        "image id 11 is used twice",
        "image 1.5: 'id' must be a whole number",
        "image 99 has 53 x 0 px",
        "annotation 1: 'bbox' must be four numbers x, y, width, height, not [True, 1, 2, 3]",
        "annotation 2: 'bbox' must be four numbers",
        "annotation 3: 'area' must be a number, not nan",
        "annotation 4: 'image_id' must be a whole number, not '12'",
        "annotation 5: 'category_id' must be a whole number, not True",
        "annotation 6: a polygon needs at least three points",
        "entry 7 of 'annotations' is 3, not a record",
        "without id, has no field 'image_id'",
        "000000000012.jpg is missing",
        "cannot read",
    ]
    for message in expected:
        assert sum(message in fault for fault in found.faults) == 1, message
    assert len(found.faults) == len(expected)
    result = run_cli("data", "check", "-d", f"coco:{tiny.folder}")
    assert result.exit_code == 1
    assert result.output.count("fault: ") == len(expected)
    with pytest.raises(SeglibError):  # elsewhere the first is an error
        CocoFolder(tiny.images, tiny.json_path)


def test_faults_of_panoptic_annotations_are_reported_with_the_others(tiny):
    add_panoptic(tiny)
    path = tiny.json_path.with_name("panoptic_val2017.json")
    content = json.loads(path.read_text())
    content["annotations"][0]["segments_info"][0]["category_id"] = 77
    content["annotations"][1]["segments_info"].pop()
    path.write_text(json.dumps(content))
    faults = checked(tiny).faults
    assert len(faults) == 3
    assert "unknown category id 77" in faults[0]
    assert "no entry for image 11" in faults[1]
    assert "segment 300" in faults[2]


def test_what_cannot_be_opened_at_all_is_a_fault(tiny):
    tiny.save()
    tiny.json_path.write_text("[")
    found = check_dataset(f"coco:{tiny.folder}")
    assert len(found.faults) == 1
    assert "nothing else could be checked" in found.faults[0]


def test_notes_say_what_is_left_out_and_why(tiny):
    tiny.annotation(1)["bbox"][2] = 0
    tiny.annotation(2)["segmentation"] = [[3.0, 3.0, 3.1, 3.0, 3.0, 3.1]]
    tiny.annotation(4)["bbox"][0] = -2
    tiny.content["annotations"].append({**tiny.annotation(7), "id": 6})
    picture = tiny.images / tiny.content["images"][0]["file_name"]
    (tiny.images / "more.jpg").write_bytes(picture.read_bytes())
    (tiny.images / "._more.jpg").write_bytes(b"")
    tiny.content["images"].append({**tiny.content["images"][0], "id": 50})
    tiny.content["categories"].append({"id": 90, "name": "ghost"})
    found = checked(tiny)
    assert found.faults == []
    for start in (
        "1 object is left out of training because its box has no area inside the image (annot",
        "1 annotation id is used more than once (6): every record counts",
        "2 images without objects",
        "1 object whose mask has no pixel: left out of training, counted in evaluations (image 11",
        "1 object whose box extends beyond the image: clipped for training only (image 12",
        "1 object equal to an earlier one of the same image in class, box and mask (image 14",
        "1 category has no object in these images: ghost",
        "1 image file named by more than one record of 'images': 000000000011.jpg",
        "1 image file not listed in 'images' and left out: more.jpg",
    ):
        assert sum(note.startswith(start) for note in found.notes) == 1, (start, found.notes)


# ---- nothing to learn, nothing to find ----


def crowds_only(content: Content) -> None:
    for record in content["annotations"]:
        record["iscrowd"] = 1


def no_objects(content: Content) -> None:
    content["annotations"].clear()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (crowds_only, "all 6 objects are marked as crowds"),
        (no_objects, "no image has an object"),
    ],
)
def test_data_without_anything_to_learn_is_reported_by_every_command(tmp_path, change, told):
    spec = edit(write_squares(tmp_path / "set"), change)
    assert any(told in note for note in check_dataset(spec).notes)
    assert told in " ".join(run_cli("data", "info", "-d", spec).output.split())
    for model in ("fcn", "deepmask", "mask_rcnn"):
        result = run_cli(
            "train", model, "-d", spec, "--steps", 1, "--out", tmp_path / model, "--no-eval"
        )
        assert_refused(result, f"{model} can learn nothing from coco:set: none of its 6 images")
        assert f"note on train: {told}" in result.output


def test_objects_too_small_for_a_model_are_refused(tmp_path):
    def shrink(content: Content) -> None:
        for record in content["annotations"]:
            x, y = record["bbox"][:2]
            pixel = [[x, y, x + 1, y, x + 1, y + 1, x, y + 1]]
            record.update(bbox=[x, y, 0.3, 0.3], segmentation=pixel)

    spec = edit(write_squares(tmp_path / "set"), shrink)
    assert any("the largest object has 1 pixel," in note for note in check_dataset(spec).notes)
    arguments = ["-d", spec, "--steps", 1, "--no-eval", "--out", tmp_path / "run"]
    result = run_cli("train", "deepmask", *arguments)
    assert_refused(result, "large enough for the model's rules")


@pytest.mark.parametrize(("area", "told"), [(0, "below 1 px² for 6 of 6"), (7, "7 px² for all 6")])
def test_meaningless_areas_are_reported_and_not_used_for_training(tmp_path, area, told):
    spec = edit(
        write_squares(tmp_path / "set"),
        lambda content: [
            a.update(area=area, bbox=[*a["bbox"][:3], a["bbox"][3] - a["id"] % 2])
            for a in content["annotations"]
        ],
    )
    data = load_dataset(spec)
    assert any(told in note and "training uses the pixels" in note for note in data.notes)
    target = data[0][1]
    assert target.area.tolist() == [24 * 24]
    assert target.truth.area.tolist() == [area]


# ---- categories ----


def test_a_category_of_the_same_name_without_objects_is_left_out(tmp_path):
    spec = edit(
        write_squares(tmp_path / "set"),
        lambda content: content["categories"].insert(0, {"id": 0, "name": "square"}),
    )
    data = load_dataset(spec)
    assert [(c.coco_id, c.name) for c in data.categories] == [(3, "bar"), (7, "square"), (9, "dot")]
    assert data.notes == [
        "category 0 is left out: it has no objects and the same name as category 7, 'square'"
    ]


def test_a_name_of_two_categories_with_objects_is_refused_with_both_ids(tmp_path):
    def rename(content: Content) -> None:
        for record in content["categories"]:
            record["name"] = "square"

    spec = edit(write_squares(tmp_path / "set"), rename)
    with pytest.raises(SeglibError, match="'square' is the name of the ids 3 and 7"):
        load_dataset(spec)
    (fault,) = check_dataset(spec).faults  # and the rest is checked nevertheless
    assert "'square' is the name of the ids 3 and 7" in fault
    assert check_dataset(spec).images == 6


# ---- ids and counts ----


@pytest.mark.parametrize("shift", [-(2**40), 10**400], ids=["negative", "hundreds of digits"])
def test_ids_of_any_size_train_and_evaluate(tmp_path, shift):
    def renumber(content: Content) -> None:
        for image in content["images"]:
            image["id"] += shift
        for category in content["categories"]:
            category["id"] += shift
        for record in content["annotations"]:
            record.update(
                image_id=record["image_id"] + shift, category_id=record["category_id"] + shift
            )

    spec = edit(write_squares(tmp_path / "set", images=2), renumber)
    out = tmp_path / "run"
    arguments = ["--steps", 1, "--batch-size", 2, "--precision", "fp32", "--out", out]
    result = run_cli("train", "mask_rcnn", "-d", spec, *arguments)
    assert result.exit_code == 0, result.output
    assert (out / "model.safetensors").exists()
    assert load_dataset(spec)[0][1].image_id == 100 + shift


def test_detectors_take_any_number_of_categories(tmp_path):
    spec = edit(
        write_squares(tmp_path / "set", images=2),
        lambda content: content["categories"].extend(
            {"id": i, "name": f"rare{i}"} for i in range(100, 400)
        ),
    )
    data = load_dataset(spec)
    assert data[0][1].semantic is None
    assert any("distinguish 254 categories, not 303" in note for note in data.notes)
    arguments = ["-d", spec, "--steps", 1, "--batch-size", 2, "--precision", "fp32", "--out"]
    result = run_cli("train", "mask_rcnn", *arguments, tmp_path / "detector")
    assert result.exit_code == 0, result.output
    assert "mask_AP" in result.output
    refused = run_cli("train", "fcn", *arguments, tmp_path / "fcn")
    assert_refused(refused, "tell at most 254 categories apart: it cannot learn 303")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", "1e39"), "lr=1e+39: it must be above 0 and below 1e+06"),
        (("--backbone-lr", "1e39"), "backbone_lr=1e+39: it must be"),
        (("--weight-decay", "1e39"), "weight_decay=1e+39: it must be"),
        (("--seed", 2**64), "seed=18446744073709551616: it must be below 2^63"),
        (("--steps", 10**400), "it must be below 2^63"),
        (("--size", 10**9), "size must be between 1 and 8192 px, not 1000000000"),
        (("--batch-size", 10**9), "batch_size=1000000000: that many images of 48 x 48 px take"),
    ],
)
def test_numbers_out_of_range_are_refused_by_name(tmp_path, arguments, message):
    spec = f"coco:{write_squares(tmp_path / 'set', images=2)}"
    result = run_cli("train", "fcn", "-d", spec, *arguments, "--out", tmp_path / "run")
    assert_refused(result, message)
