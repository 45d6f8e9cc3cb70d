"""COCO annotation files: read, checked, and every fault called by file and id."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seglib.data.coco_fields import (
    box_sides,
    check_area,
    check_flag,
    is_color,
    objects,
    place,
    text,
    whole,
)
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
        SeglibError: no such file, no JSON, a field missing or of another kind, an id used twice,
            or an object of an unknown image or category.
    """
    content = _read_json(path, ("images", "annotations", "categories"))
    categories = _categories(path, content["categories"])
    images = _images(path, content["images"])
    annotations: dict[int, list[Annotation]] = {image_id: [] for image_id in images}
    flat: list[int] = []
    for number, annotation in enumerate(content["annotations"]):
        where = place(path, "annotation", number, annotation)
        image_id = whole(where, annotation, "image_id")
        if image_id not in images:
            raise SeglibError(
                f"{where} is of image {image_id}, which 'images' does not list: "
                "add the image or remove the annotation"
            )
        _check_category(where, annotation, categories)
        check_flag(where, annotation, "iscrowd")
        check_area(where, annotation)
        if "bbox" in annotation and min(box_sides(where, annotation["bbox"])) <= 0:
            flat.append(annotation.get("id", 0))
        else:
            annotations[image_id].append(annotation)
    return InstanceFile(path, categories, images, annotations, _flat_box_notes(flat))


def read_panoptic(path: Path) -> PanopticFile:
    """Read and check a panoptic annotation file.

    Raises:
        SeglibError: no such file, no JSON, a field missing or of another kind, or a segment of an
            unknown category.
    """
    content = _read_json(path, ("annotations", "categories"))
    categories = _categories(path, content["categories"])
    entries: dict[int, Annotation] = {}
    for number, entry in enumerate(content["annotations"]):
        image_id = whole(f"{path}: entry {number} of 'annotations'", entry, "image_id")
        where = f"{path}: image {image_id}"
        text(where, entry, "file_name")
        for segment in objects(where, entry, "segments_info"):
            whole(where, segment, "id")
            _check_category(where, segment, categories)
            check_flag(where, segment, "iscrowd")
        entries[image_id] = entry
    return PanopticFile(path, categories, entries)


def _read_json(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeglibError(f"{path} is missing: a COCO folder has its annotations there") from error
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} as JSON ({error}): replace it") from error
    for name in needed:
        objects(str(path), content if isinstance(content, dict) else {}, name)
    return dict(content)


def _categories(path: Path, records: list[Annotation]) -> Categories:
    if not records:
        raise SeglibError(f"{path} has no categories: add those of the objects to 'categories'")
    for number, record in enumerate(records):
        where = place(path, "category", number, record)
        whole(where, record, "id")
        text(where, record, "name")
        check_flag(where, record, "isthing")
    # Some tools write colours as "#0af3b2": those, which only pictures need, are chosen anew.
    kept = [{**r, "color": r["color"] if is_color(r.get("color")) else None} for r in records]
    try:
        return Categories.from_coco(kept)
    except SeglibError as error:
        raise SeglibError(f"{path}: {error}") from error


def _check_category(where: str, record: Annotation, categories: Categories) -> None:
    category_id = whole(where, record, "category_id")
    try:
        categories.by_coco_id(category_id)
    except SeglibError as error:
        raise SeglibError(f"{where}: {error}; add the category or remove the record") from error


def _images(path: Path, records: Iterable[Annotation]) -> dict[int, ImageRecord]:
    images: dict[int, ImageRecord] = {}
    for number, record in enumerate(records):
        where = place(path, "image", number, record)
        image_id = whole(where, record, "id")
        size = (whole(where, record, "height"), whole(where, record, "width"))
        if min(size) < 1:
            raise SeglibError(f"{where} has {size[1]} x {size[0]} px: correct 'width' and 'height'")
        if image_id in images:
            raise SeglibError(f"{path}: image id {image_id} is used twice: ids must be unique")
        images[image_id] = ImageRecord(image_id, text(where, record, "file_name"), size)
    return images


def _flat_box_notes(ids: list[int]) -> list[str]:
    if not ids:
        return []
    shown = ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")
    count = "1 object" if len(ids) == 1 else f"{len(ids)} objects"
    return [f"{count} left out whose box has no width or no height (annotation {shown})"]
