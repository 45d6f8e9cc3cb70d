"""Read and check COCO annotation files; every error names the file and the record."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seglib.data.coco_fields import (
    box_size,
    check_area,
    check_flag,
    file_name,
    is_color,
    location,
    record_list,
    text,
    whole_number,
)
from seglib.errors import SeglibError
from seglib.json_files import parse_json
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
        categories: the file's categories.
        images: records by image id, in the order of the file.
        annotations: the records of every image's objects by image id, unchanged.
        notes: what was left out, for the user to read.
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
        entries: records by image id, with `file_name` and `segments_info`.
    """

    path: Path
    categories: Categories
    entries: dict[int, Annotation]


def read_instances(path: Path) -> InstanceFile:
    """Read and check an instance annotation file.

    Objects whose box has zero width or height are left out, with a note, since they contain
    nothing to learn or detect. Images without objects are kept.

    Raises:
        SeglibError: the file is missing or not JSON, a field is missing or of the wrong type, an
            id is used twice, or an object belongs to an unknown image or category.
    """
    content = _read_json(path, ("images", "annotations", "categories"))
    categories = _categories(path, content["categories"])
    images = _images(path, content["images"])
    annotations: dict[int, list[Annotation]] = {image_id: [] for image_id in images}
    empty: list[int] = []
    for index, annotation in enumerate(content["annotations"]):
        where = location(path, "annotation", index, annotation)
        image_id = whole_number(where, annotation, "image_id")
        if image_id not in images:
            raise SeglibError(
                f"{where} belongs to image {image_id}, which 'images' does not list: "
                "add the image or remove the annotation"
            )
        _check_category(where, annotation, categories)
        check_flag(where, annotation, "iscrowd")
        check_area(where, annotation)
        if "bbox" in annotation and min(box_size(where, annotation["bbox"])) <= 0:
            empty.append(annotation.get("id", 0))
        else:
            annotations[image_id].append(annotation)
    return InstanceFile(path, categories, images, annotations, _empty_box_notes(empty))


def read_panoptic(path: Path) -> PanopticFile:
    """Read and check a panoptic annotation file.

    Raises:
        SeglibError: the file is missing or not JSON, a field is missing or of the wrong type, or
            a segment belongs to an unknown category.
    """
    content = _read_json(path, ("annotations", "categories"))
    categories = _categories(path, content["categories"])
    entries: dict[int, Annotation] = {}
    for index, entry in enumerate(content["annotations"]):
        image_id = whole_number(f"{path}: entry {index} of 'annotations'", entry, "image_id")
        where = f"{path}: image {image_id}"
        file_name(where, entry)
        for segment in record_list(where, entry, "segments_info"):
            whole_number(where, segment, "id")
            _check_category(where, segment, categories)
            check_flag(where, segment, "iscrowd")
        entries[image_id] = entry
    return PanopticFile(path, categories, entries)


def _read_json(path: Path, needed: Iterable[str]) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeglibError(
            f"{path} is missing: put the annotations of the COCO folder there"
        ) from error
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} as JSON ({error}): replace it") from error
    for name in needed:
        record_list(str(path), content if isinstance(content, dict) else {}, name)
    return dict(content)


def _categories(path: Path, records: list[Annotation]) -> Categories:
    if not records:
        raise SeglibError(f"{path} has no categories: add those of the objects to 'categories'")
    for index, record in enumerate(records):
        where = location(path, "category", index, record)
        whole_number(where, record, "id")
        text(where, record, "name")
        check_flag(where, record, "isthing")
    # Some tools write colours as "#0af3b2". Only figures use colours, so new ones are chosen.
    kept = [{**r, "color": r["color"] if is_color(r.get("color")) else None} for r in records]
    try:
        return Categories.from_coco(kept)
    except SeglibError as error:
        raise SeglibError(f"{path}: {error}") from error


def _check_category(where: str, record: Annotation, categories: Categories) -> None:
    category_id = whole_number(where, record, "category_id")
    try:
        categories.by_coco_id(category_id)
    except SeglibError as error:
        raise SeglibError(f"{where}: {error}; add the category or remove the record") from error


def _images(path: Path, records: Iterable[Annotation]) -> dict[int, ImageRecord]:
    images: dict[int, ImageRecord] = {}
    for index, record in enumerate(records):
        where = location(path, "image", index, record)
        image_id = whole_number(where, record, "id")
        size = (whole_number(where, record, "height"), whole_number(where, record, "width"))
        if min(size) < 1:
            raise SeglibError(f"{where} has {size[1]} x {size[0]} px: correct 'width' and 'height'")
        if image_id in images:
            raise SeglibError(f"{path}: image id {image_id} is used twice: ids must be unique")
        images[image_id] = ImageRecord(image_id, file_name(where, record), size)
    return images


def _empty_box_notes(ids: list[int]) -> list[str]:
    if not ids:
        return []
    shown = ", ".join(map(str, ids[:5])) + (", …" if len(ids) > 5 else "")
    if len(ids) == 1:
        return [f"1 object left out because its box has zero width or height (annotation {shown})"]
    return [
        f"{len(ids)} objects left out because their boxes have zero width or height "
        f"(annotations {shown})"
    ]
