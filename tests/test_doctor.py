"""`seglib doctor` names planted faults, and finds nothing where nothing is wrong.

The table of planted faults, with what is found: `python -m tests.test_doctor`.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
import torch

from seglib.doctor.measures.readings import MASK_READINGS, best_shift, moved
from tests.fakes import write_squares
from tests.helpers import assert_refused, run_cli
from tests.planted_faults import FAULTS, Fault
from tests.planted_faults.predictions import predicted


def findings(folder: Path, fault: Fault) -> list[dict[str, Any]]:
    """Plant a fault, run the command, and return its findings."""
    report = folder / "report.json"
    result = run_cli("doctor", *fault.plant(folder / "planted"), "--json", report)
    found: list[dict[str, Any]] = json.loads(report.read_text())["findings"]
    assert result.exit_code == (1 if found else 0), result.output
    return found


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if fault.is_slow else [])
        for fault in FAULTS
    ],
)
def test_a_planted_fault_is_the_most_probable_cause(fault: Fault, tmp_path: Path):
    assert findings(tmp_path, fault)[0]["code"] == fault.code


@pytest.mark.parametrize(
    "arguments",
    [
        ("pocket", "--limit", 20),
        ("fcn", "--limit", 1),
        pytest.param(("mask_rcnn", "--limit", 4), marks=pytest.mark.slow),
        pytest.param(("detr", "--limit", 4), marks=pytest.mark.slow),
        pytest.param(("deepmask", "--limit", 2), marks=pytest.mark.slow),
    ],
    ids=lambda arguments: arguments[0],
)
def test_no_fault_is_found_where_there_is_none(arguments):
    result = run_cli("doctor", *arguments)
    assert result.exit_code == 0, result.output
    assert f"{arguments[0]}: no fault found" in result.output
    assert "edges along the outlines of masks" in result.output


def test_no_fault_is_found_in_good_predictions(tmp_path):
    arguments = predicted(lambda records, spec: None)(tmp_path)
    result = run_cli("doctor", *arguments)
    assert result.exit_code == 0, result.output
    assert "masks: predicted ones overlap true ones with mean IoU 0.92" in result.output
    assert "classes: 100% of 9 located objects are right" in result.output


def test_chance_is_not_taken_for_a_misreading(tmp_path):
    generator = torch.Generator().manual_seed(0)

    def at_random(records: list[dict[str, Any]], spec: str) -> None:
        for record in records:
            record["bbox"] = (48 * torch.rand(4, generator=generator)).tolist()
            record["category_id"] = (3, 7, 9)[int(torch.randint(3, (1,), generator=generator))]
            del record["segmentation"]

    result = run_cli("doctor", *predicted(at_random)(tmp_path))
    assert "they fit when" not in result.output
    assert "The predictions do not fit these images at all." in result.output


def test_images_without_predictions_are_counted(tmp_path):
    result = run_cli("doctor", *predicted(lambda records, spec: records[:4])(tmp_path))
    assert result.exit_code == 1
    assert "4 of 9 images with objects have predictions" in result.output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "as JSON"),
        ("[1, null, {}]", "3 faults in 3 records"),
        ('{"a": 1}', "not a list of records"),
        ('[{"image_id": 1e400}]', "'image_id' is missing or not a whole number"),
        ('[{"image": "a.jpg", "instances": []}]', "grouped by image"),
        (
            '[{"image_id": 100, "category_id": 7, "bbox": [1, 2, NaN, 4], "score": 1}]',
            "four finite",
        ),
        (
            '[{"image_id": 100, "category_id": 7, "score": 1, '
            '"segmentation": {"size": [48, 48], "counts": "?"}}]',
            "1 x a mask cannot be read",
        ),
    ],
)
def test_broken_predictions_give_a_finding(text, message, squares, tmp_path):
    file = tmp_path / "predictions.json"
    file.write_text(text)
    result = run_cli("doctor", squares, "--predictions", file)
    assert result.exit_code == 1
    assert message in " ".join(result.output.split())


def test_every_file_of_a_run_may_be_broken(squares, tmp_path):
    folder = write_squares(tmp_path / "squares")
    (folder / "annotations" / "instances_train.json").write_text("{")
    run = tmp_path / "run"
    run.mkdir()
    for name in ("run.json", "log.jsonl", "model.safetensors"):
        (run / name).write_bytes(b"\xff{")
    result = run_cli("doctor", run, "--dataset", f"coco:{folder}")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    for message in ("run.json is damaged", "log.jsonl contains no step", "damaged or not a safe"):
        assert message in said
    assert "1 fault: cannot read" in said


def test_wrong_names_are_errors(squares):
    assert_refused(run_cli("doctor", "mask_rcn"), "did you mean 'mask_rcnn'?")
    assert run_cli("doctor", "fcn", "--predictions", "x.json").exit_code == 2


def test_the_one_shift_that_fits_all_images_is_found():
    masks = torch.zeros(3, 20, 30, dtype=torch.bool)
    masks[0, 2:6, 10:15], masks[1, 8:12, 3:7], masks[2, 1:9, 12:20] = True, True, True
    pairs = [(mask, moved(mask, (-3, 5))) for mask in masks]
    assert best_shift(pairs) == (-3, 5)
    assert torch.equal(moved(pairs[0][1], (3, -5)), pairs[0][0])
    assert not moved(masks[0], (30, 0)).any()


def test_masks_are_read_in_every_way():
    mask = torch.tensor([[1, 1, 0], [0, 1, 0]], dtype=torch.bool)  # [H, W] = [2, 3]
    along_rows = torch.tensor([[1, 0, 1], [1, 0, 0]], dtype=torch.bool)  # 110010 along columns
    readings = {name: read(mask, (2, 3)).int().tolist() for name, read in MASK_READINGS.items()}
    assert readings["as they are"] == [[1, 1, 0], [0, 1, 0]]
    assert readings["transposed"] == [[0, 0, 0], [0, 0, 0]]  # of another size than the image
    assert readings["mirrored left to right"] == [[0, 1, 1], [0, 1, 0]]
    assert readings["mirrored upside down"] == [[0, 1, 0], [1, 1, 0]]
    assert torch.equal(MASK_READINGS["transposed"](mask.T, (2, 3)), mask)
    assert torch.equal(MASK_READINGS["read with runs along rows"](along_rows, (2, 3)), mask)
    larger = MASK_READINGS["resized to the image"](mask, (4, 6))
    assert torch.equal(larger, mask.repeat_interleave(2, 0).repeat_interleave(2, 1))


def print_table() -> None:
    """Plant every fault, and print what is found."""
    right = 0
    for fault in FAULTS:
        with tempfile.TemporaryDirectory() as folder:
            codes = [finding["code"] for finding in findings(Path(folder), fault)]
        is_first = codes[:1] == [fault.code]
        right += is_first
        print(f"{fault.name:52} {'found' if is_first else 'MISSED':6} {', '.join(codes)}")
    print(f"{right} of {len(FAULTS)} planted faults are the first finding")


if __name__ == "__main__":
    print_table()
