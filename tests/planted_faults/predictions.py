"""Predictions in COCO's results format that the user's own code wrote wrongly."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from seglib.data.datasets import load_dataset
from seglib.ops.rle import encode, to_string
from tests.fakes import write_squares
from tests.planted_faults.data import Content, as_corners
from tests.planted_faults.fault import Arguments, Fault


def true_predictions(spec: str) -> list[Content]:
    """One prediction per object, its square a pixel smaller at two sides than the true one."""
    data = load_dataset(spec, "val")
    records = []
    for _, target in data:
        for row in range(len(target)):
            x0, y0, x1, y1 = target.boxes[row].tolist()
            mask = target.masks[row].clone()
            mask[int(y0)], mask[:, int(x0)] = False, False
            records.append(
                {
                    "image_id": target.image_id,
                    "category_id": data.categories.by_label(int(target.labels[row])).coco_id,
                    "bbox": [x0 + 1, y0 + 1, x1 - x0 - 1, y1 - y0 - 1],
                    "segmentation": run_lengths(mask),
                    "score": round(0.9 - 0.01 * len(records), 2),
                }
            )
    return records


def run_lengths(mask: Tensor) -> Content:
    """COCO's compressed form."""
    return {"size": list(mask.shape), "counts": to_string(encode(mask))}


def predicted(change: Callable[[list[Content], str], Any]) -> Callable[[Path], Arguments]:
    """Plant a fault in a file of predictions; a change returns other records, or edits them."""

    def plant(folder: Path) -> Arguments:
        spec = f"coco:{write_squares(folder / 'squares', images=9)}"
        records = true_predictions(spec)
        file = folder / "predictions.json"
        file.write_text(json.dumps(change(records, spec) or records))
        return [spec, "--predictions", file]

    return plant


def all_of(change: Callable[[Content], object]) -> Callable[[list[Content], str], None]:
    """Apply a change to every prediction."""

    def edit(records: list[Content], spec: str) -> None:
        for record in records:
            change(record)

    return edit


def masks_through(change: Callable[[Tensor], Tensor]) -> Callable[[list[Content], str], None]:
    """Write other masks."""

    def edit(records: list[Content], spec: str) -> None:
        for record, (_, target) in zip(records, load_dataset(spec, "val"), strict=True):
            record["segmentation"] = run_lengths(change(target.masks[0]))

    return edit


def as_labels(record: Content) -> None:
    """Positions among the file's ids, which are 3, 7 and 9."""
    record["category_id"] = [3, 7, 9].index(record["category_id"]) + 1


def to_network_size(mask: Tensor) -> Tensor:
    return mask[::2, ::2]


def without_nms(records: list[Content], spec: str) -> list[Content]:
    return [
        {**record, "score": record["score"] - 0.001 * i} for record in records for i in range(4)
    ]


def shift_scores(record: Content) -> None:
    record["score"] = record["score"] / 100


PREDICTION_FAULTS = (
    Fault("predictions: bbox as corners", predicted(all_of(as_corners)), "boxes-misread"),
    Fault(
        "predictions: bbox as fractions",
        predicted(all_of(lambda r: r.update(bbox=[v / 48 for v in r["bbox"]]))),
        "boxes-misread",
    ),
    Fault(
        "predictions: boxes at half the size of the image",
        predicted(all_of(lambda r: r.update(bbox=[v / 2 for v in r["bbox"]]))),
        "boxes-misread",
    ),
    Fault(
        "predictions: masks transposed",
        predicted(masks_through(lambda mask: mask.T)),
        "masks-misread",
    ),
    Fault(
        "predictions: masks shifted by padding",
        predicted(masks_through(lambda mask: mask.roll((9, -7), (0, 1)))),
        "masks-misread",
    ),
    Fault(
        "predictions: masks not resized to the image",
        predicted(masks_through(to_network_size)),
        "masks-misread",
    ),
    Fault(
        "predictions: category ids off by one",
        predicted(all_of(lambda r: r.update(category_id=r["category_id"] - 1))),
        "classes-mixed-up",
    ),
    Fault(
        "predictions: labels in place of category ids",
        predicted(all_of(as_labels)),
        "classes-mixed-up",
    ),
    Fault(
        "predictions: image ids off by one",
        predicted(all_of(lambda r: r.update(image_id=r["image_id"] - 1))),
        "images-mixed-up",
    ),
    Fault("predictions: all scores below 0.05", predicted(all_of(shift_scores)), "scores-low"),
    Fault("predictions: no non-maximum suppression", predicted(without_nms), "repeated"),
    Fault(
        "predictions: no scores",
        predicted(all_of(lambda r: r.pop("score"))),
        "faulty-predictions",
    ),
)
