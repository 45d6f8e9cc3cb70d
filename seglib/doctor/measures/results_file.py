"""Read predictions in COCO's results format, and keep what can be used of faulty records."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.json_files import parse_json
from seglib.ops.polygons import rasterize
from seglib.ops.rle import RLE, decode, from_string

Record = Mapping[str, Any]


@dataclass
class ResultsFile:
    """The records of a file of predictions.

    Attributes:
        by_image: usable records by their `image_id`, best score first.
        count: number of all records, usable or not.
        unreadable: fault → number of records that have it.
    """

    by_image: dict[int, list[Record]] = field(default_factory=dict)
    count: int = 0
    unreadable: Counter[str] = field(default_factory=Counter)


def read_results(path: Path) -> ResultsFile:
    """Read a list of {"image_id", "category_id", "bbox" or "segmentation", "score"}.

    Raises:
        SeglibError: the file cannot be read, or is not a list of records.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} as JSON ({error})") from error
    if isinstance(content, dict) and isinstance(content.get("annotations"), list):
        content = content["annotations"]  # a whole annotation file: its objects may have scores
    if not isinstance(content, list):
        raise SeglibError(f"{path} is not a list of records, as COCO's results format prescribes")
    result = ResultsFile(count=len(content))
    groups: dict[int, list[Record]] = defaultdict(list)
    for entry in content:
        fault, image_id = _checked(entry)
        if fault:
            result.unreadable[fault] += 1
        if image_id is not None:
            groups[image_id].append(entry)
    for image_id, records in groups.items():
        result.by_image[image_id] = sorted(records, key=lambda r: -score_of(r))
    return result


def _checked(entry: Any) -> tuple[str, int | None]:
    """A record's fault ("" for none), and its image id; None if the record cannot be used."""
    if not isinstance(entry, dict):
        return "not a record with named fields", None
    if "image_id" not in entry and "image" in entry:
        return "grouped by image, as `seglib predict` writes them: one record per object", None
    image_id = _whole(entry.get("image_id"))
    if image_id is None:
        return "'image_id' is missing or not a whole number", None
    if "bbox" not in entry and "segmentation" not in entry:
        return "neither 'bbox' nor 'segmentation'", None
    if "bbox" in entry and raw_box(entry) is None:
        return "'bbox' is not four finite numbers", None
    if _whole(entry.get("category_id")) is None:
        return "'category_id' is missing or not a whole number", image_id
    if not math.isfinite(score_of(entry)):
        return "'score' is missing or not a finite number", image_id
    if isinstance(entry["image_id"], str) or isinstance(entry["category_id"], str):
        return "an id is text, not a number", image_id
    return "", image_id


def _whole(value: Any) -> int | None:
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def score_of(record: Record) -> float:
    """The score; -inf if it is missing or not a finite number."""
    value = record.get("score")
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if is_number else -math.inf  # type: ignore[arg-type]


def class_of(record: Record) -> int | None:
    """The category id; None if it is missing or not a whole number."""
    return _whole(record.get("category_id"))


def raw_box(record: Record) -> list[float] | None:
    """The box's four numbers as they are in the file; None without a usable box."""
    box = record.get("bbox")
    if not isinstance(box, Sequence) or len(box) != 4:
        return None
    usable = all(
        isinstance(v, int | float) and not isinstance(v, bool) and abs(v) < 1e9 for v in box
    )
    return [float(v) for v in box] if usable else None


def raw_mask(record: Record, size: tuple[int, int]) -> Tensor | None:
    """The mask, bool [h, w] of the size that the record declares.

    Args:
        record: a record with polygons or run lengths in "segmentation".
        size: (H, W) of the image, for polygons.

    Returns:
        None without a segmentation.

    Raises:
        SeglibError: it is malformed.
    """
    shape = record.get("segmentation")
    if shape is None:
        return None
    if isinstance(shape, list):
        return rasterize(shape, size) if shape else torch.zeros(size, dtype=torch.bool)
    declared = shape.get("size") if isinstance(shape, dict) else None
    if not (isinstance(declared, list) and len(declared) == 2 and all(map(_is_side, declared))):
        raise SeglibError("'segmentation' is neither polygons nor run lengths with a 'size'")
    counts, size_written = shape.get("counts"), (int(declared[0]), int(declared[1]))
    if isinstance(counts, str):
        return decode(from_string(counts, size_written))
    if isinstance(counts, list) and all(type(run) is int for run in counts):
        return decode(RLE(size_written, counts))
    raise SeglibError("'counts' must be a list of whole numbers or a compressed string")


def _is_side(value: Any) -> bool:
    return isinstance(value, int) and 0 < value <= 1 << 14
