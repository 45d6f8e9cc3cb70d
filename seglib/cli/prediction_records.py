"""What `seglib predict` writes into predictions.json: plain values at the photograph's size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seglib.structures import Instances, Prediction

Size = tuple[int, int]


def prediction_record(prediction: Prediction, size: Size) -> dict[str, Any]:
    """COCO result records of instances and proposals, and each class's share of the pixels.

    Args:
        prediction: on the CPU, for an image or for a smaller or larger copy of it.
        size: (H, W) of the image, to which boxes and masks are resized, one at a time.
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
    for field in ("instances", "proposals"):
        rows: Instances | None = getattr(prediction, field)
        if rows is not None:
            result[field] = [_object_record(rows, i, prediction, size) for i in range(len(rows))]
    return result


def _object_record(rows: Instances, row: int, prediction: Prediction, size: Size) -> dict[str, Any]:
    from seglib.ops import rle
    from seglib.ops.boxes import scale_boxes
    from seglib.ops.rle_resize import resize_rle

    x0, y0, x1, y1 = scale_boxes(rows.boxes[row], prediction.size, size).tolist()
    category = prediction.categories.by_label(int(rows.labels[row]))
    record: dict[str, Any] = {
        "category_id": category.coco_id,
        "category": category.name,
        "bbox": [x0, y0, x1 - x0, y1 - y0],
        "score": float(rows.scores[row]),
    }
    if rows.masks is not None:
        encoded = resize_rle(rle.encode(rows.masks[row]), size)
        record["segmentation"] = {"size": list(encoded.size), "counts": rle.to_string(encoded)}
    return record
