"""The entries of predictions.json, which `seglib predict` writes, at the photograph's size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from seglib.structures import Size

if TYPE_CHECKING:
    from torch import Tensor

    from seglib.ops.rle import RLE
    from seglib.structures import Instances, Panoptic, Prediction

MOST_SHARES = 5  # largest number of classes listed for a label map


def prediction_record(prediction: Prediction, size: Size) -> dict[str, Any]:
    """COCO's records of objects and panoptic segments, and each class's share of the pixels.

    Args:
        prediction: a prediction on the CPU, for an image or a resized copy of it.
        size: (H, W) of the image, to which boxes and masks are resized one at a time.
    """
    result: dict[str, Any] = {"size": list(size)}
    if prediction.size != size:
        result["predicted_at"] = list(prediction.size)
    names = ("background", *prediction.categories.names)
    if prediction.semantic is not None:
        counts = prediction.semantic.flatten().bincount(minlength=len(names)).tolist()
        total = sum(counts)
        result["semantic"] = {
            n: round(c / total, 4) for n, c in zip(names, counts, strict=True) if c
        }
    if prediction.panoptic is not None:
        result["panoptic"] = _segment_records(prediction.panoptic, prediction, size)
    for field in ("instances", "proposals"):
        rows: Instances | None = getattr(prediction, field)
        if rows is not None:
            result[field] = [_object_record(rows, i, prediction, size) for i in range(len(rows))]
    return result


def found(record: dict[str, Any], min_score: float) -> str:
    """What an image contains according to its record, such as "kite (2), donut".

    Args:
        record: a record that `prediction_record` made.
        min_score: objects with a lower score are left out, as in the overlay.
    """
    if "instances" in record:
        rows = [row for row in record["instances"] if row["score"] >= min_score]
        return _counts(row["category"] for row in rows)
    if "panoptic" in record:
        return _counts(row["category"] for row in record["panoptic"])
    if "semantic" in record:
        shares = sorted(record["semantic"].items(), key=lambda item: -item[1])
        return ", ".join(f"{name} {share:.0%}" for name, share in shares[:MOST_SHARES])
    return f"{len(record.get('proposals', ()))} proposals"


def _counts(names: Iterable[str]) -> str:
    counts = Counter(names).most_common()
    return ", ".join(f"{name} ({n})" if n > 1 else name for name, n in counts) or "nothing"


def _segment_records(
    panoptic: Panoptic, prediction: Prediction, size: Size
) -> list[dict[str, Any]]:
    from seglib.ops import rle

    records = []
    for number, label in zip(panoptic.ids.tolist(), panoptic.labels.tolist(), strict=True):
        category = prediction.categories.by_label(label)
        encoded = _encoded(panoptic.segment_map == number, size)
        records.append(
            {
                "id": number,
                "category_id": category.coco_id,
                "category": category.name,
                "area": int(rle.area(encoded)),
                "segmentation": _plain(encoded),
            }
        )
    return records


def _object_record(rows: Instances, row: int, prediction: Prediction, size: Size) -> dict[str, Any]:
    from seglib.ops.boxes import scale_boxes

    x0, y0, x1, y1 = scale_boxes(rows.boxes[row], prediction.size, size).tolist()
    category = prediction.categories.by_label(int(rows.labels[row]))
    record: dict[str, Any] = {
        "category_id": category.coco_id,
        "category": category.name,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": float(rows.scores[row]),
    }
    if rows.masks is not None:
        record["segmentation"] = _plain(_encoded(rows.masks[row], size))
    return record


def _encoded(mask: Tensor, size: Size) -> RLE:
    """The run-length encoding of a mask bool [H, W], resized to the image's size."""
    from seglib.ops import rle
    from seglib.ops.rle_resize import resize_rle

    return resize_rle(rle.encode(mask), size)


def _plain(encoded: RLE) -> dict[str, Any]:
    """COCO's JSON form of a run-length encoding."""
    from seglib.ops import rle

    return {"size": list(encoded.size), "counts": rle.to_string(encoded)}
