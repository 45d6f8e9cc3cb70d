"""COCO annotation files: read, checked, and every fault called by file and id."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seglib.errors import SeglibError
from seglib.structures import Categories

Annotation = dict[str, Any]


@dataclass(frozen=True)
class ImageRecord:
    """One entry of `images`.

    Attributes:
        id: the COCO image id.
        file_name: below the images' folder.
        size: (H, W) in pixels.
    """

    id: int
    file_name: str
    size: tuple[int, int]


@dataclass
class InstanceFile:
    """A checked `instances_*.json`.

    Attributes:
        path: where it was read from.
        categories: of its `categories`.
        images: records by image id, in the file's order.
        annotations: the objects of every image by image id, as they stand in the file.
        notes: what was left out, in words.
    """

    path: Path
    categories: Categories
    images: dict[int, ImageRecord]
    annotations: dict[int, list[Annotation]]
    notes: list[str] = field(default_factory=list)


@dataclass
class PanopticFile:
    """A checked `panoptic_*.json`.

    Attributes:
        path: where it was read from.
        categories: things and stuff.
        entries: by image id, with `file_name` and `segments_info`.
    """

    path: Path
    categories: Categories
    entries: dict[int, Annotation]


def read_instances(path: Path) -> InstanceFile:
    """Read and check an instance annotation file.

    Objects whose box has no width or no height are left out, with a note: there is nothing to
    learn or to find in them. Images without objects stay.

    Raises:
        SeglibError: no such file, no JSON, a field missing, an id used twice, or an object of an
            unknown image or category.
    """
    content = _read_json(path, ("images", "annotations", "categories"))
    categories = _categories(path, content)
    images = _images(path, content["images"])
    annotations: dict[int, list[Annotation]] = {image_id: [] for image_id in images}
    flat: list[int] = []
    for annotation in content["annotations"]:
        where = f"{path}: annotation {annotation.get('id', '(without id)')}"
        if annotation.get("image_id") not in images:
            raise SeglibError(
                f"{where} is of image {annotation.get('image_id')}, which 'images' does not list: "
                "add the image or remove the annotation"
            )
        try:
            categories.by_coco_id(annotation.get("category_id", -1))
        except SeglibError as error:
            raise SeglibError(
                f"{where}: {error}; add the category or remove the annotation"
            ) from error
        if "bbox" in annotation and min(_box_sides(where, annotation["bbox"])) <= 0:
            flat.append(annotation.get("id", 0))
        else:
            annotations[annotation["image_id"]].append(annotation)
    return InstanceFile(path, categories, images, annotations, _flat_box_notes(flat))


def read_panoptic(path: Path) -> PanopticFile:
    """Read and check a panoptic annotation file.

    Raises:
        SeglibError: no such file, no JSON, a field missing, or a segment of an unknown category.
    """
    content = _read_json(path, ("annotations", "categories"))
    categories = _categories(path, content)
    entries: dict[int, Annotation] = {}
    for entry in content["annotations"]:
        try:
            entries[int(entry["image_id"])] = entry
            for segment in entry["segments_info"]:
                categories.by_coco_id(segment["category_id"])
        except KeyError as error:
            raise SeglibError(f"{path}: a panoptic annotation has no field {error}") from error
        except SeglibError as error:
            raise SeglibError(f"{path}: image {entry['image_id']}: {error}") from error
    return PanopticFile(path, categories, entries)


def _read_json(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeglibError(f"{path} is missing: a COCO folder has its annotations there") from error
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} as JSON ({error}): replace it") from error
    for name in needed:
        if not isinstance(content, dict) or not isinstance(content.get(name), list):
            raise SeglibError(f"{path} has no list {name!r}: it is not a COCO annotation file")
    return content


def _categories(path: Path, content: dict[str, Any]) -> Categories:
    try:
        return Categories.from_coco(content["categories"])
    except KeyError as error:
        raise SeglibError(f"{path}: a category has no field {error}") from error
    except SeglibError as error:
        raise SeglibError(f"{path}: {error}") from error


def _images(path: Path, records: Iterable[Annotation]) -> dict[int, ImageRecord]:
    images: dict[int, ImageRecord] = {}
    for record in records:
        try:
            image_id = int(record["id"])
            size = (int(record["height"]), int(record["width"]))
            image = ImageRecord(image_id, str(record["file_name"]), size)
            if min(size) < 1:
                raise ValueError(f"{size[1]} x {size[0]} px")
        except (KeyError, TypeError, ValueError) as error:
            raise SeglibError(
                f"{path}: image {record.get('id', '(without id)')} lacks a proper id, file_name, "
                f"height or width ({error})"
            ) from error
        if image_id in images:
            raise SeglibError(f"{path}: image id {image_id} is used twice: ids must be unique")
        images[image_id] = image
    return images


def _box_sides(where: str, box: Any) -> tuple[float, float]:
    """Width and height of a COCO box (x, y, width, height)."""
    if not (isinstance(box, list) and len(box) == 4 and all(_is_finite(v) for v in box)):
        raise SeglibError(f"{where}: 'bbox' must be four numbers x, y, width, height, not {box}")
    return box[2], box[3]


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _flat_box_notes(ids: list[int]) -> list[str]:
    if not ids:
        return []
    shown = ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")
    objects = "1 object" if len(ids) == 1 else f"{len(ids)} objects"
    return [f"{objects} left out whose box has no width or no height (annotation {shown})"]
