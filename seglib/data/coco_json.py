"""Read and check COCO annotation files; every error names the file and the record."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from seglib.data.coco_fields import (
    check_area,
    check_box,
    check_flag,
    file_name,
    gathered,
    is_color,
    location,
    record_list,
    text,
    whole_number,
)
from seglib.data.coco_notes import annotation_notes, without_idle_namesakes
from seglib.errors import SeglibError
from seglib.json_files import parse_json
from seglib.structures import Categories

Annotation = dict[str, Any]
MAX_SIDE = 2**20  # of an image, in px


@dataclass(frozen=True)
class ImageRecord:
    """One entry of `images`.

    Attributes:
        id: the COCO image id.
        file_name: path of the image's file below the images' folder.
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


def read_instances(path: Path, faults: list[str] | None = None) -> InstanceFile:
    """Read and check an instance annotation file.

    Images without objects are kept. A category without objects that has the same name as another
    is left out, with a note: some tools write one for the whole project.

    Args:
        path: the file.
        faults: receives the messages about faulty records, which are then left out; without it,
            the first fault is raised.

    Raises:
        SeglibError: the file is missing or not JSON, a field is missing or of the wrong type, an
            id is used twice, or an object belongs to an unknown image or category.
    """
    content = _read_json(path, ("images", "annotations", "categories"), faults)
    in_use = {_hashable(a.get("category_id")) for a in content["annotations"]}
    categories, notes = _categories(path, content["categories"], faults, in_use)
    images = _images(path, content["images"], faults)
    annotations: dict[int, list[Annotation]] = {image_id: [] for image_id in images}
    for index, annotation in enumerate(content["annotations"]):
        with gathered(faults):
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
            if "bbox" in annotation:
                check_box(where, annotation["bbox"])
            annotations[image_id].append(annotation)
    notes += annotation_notes({i: record.size for i, record in images.items()}, annotations)
    return InstanceFile(path, categories, images, annotations, notes)


def read_panoptic(path: Path, faults: list[str] | None = None) -> PanopticFile:
    """Read and check a panoptic annotation file.

    Args:
        path: the file.
        faults: as for `read_instances`.

    Raises:
        SeglibError: the file is missing or not JSON, a field is missing or of the wrong type, or
            a segment belongs to an unknown category.
    """
    content = _read_json(path, ("annotations", "categories"), faults)
    categories, _ = _categories(path, content["categories"], faults)
    entries: dict[int, Annotation] = {}
    for index, entry in enumerate(content["annotations"]):
        with gathered(faults):
            image_id = whole_number(f"{path}: entry {index} of 'annotations'", entry, "image_id")
            where = f"{path}: image {image_id}"
            file_name(where, entry)
            for segment in record_list(where, entry, "segments_info"):
                whole_number(where, segment, "id")
                _check_category(where, segment, categories)
                check_flag(where, segment, "iscrowd")
            entries[image_id] = entry
    return PanopticFile(path, categories, entries)


def _read_json(
    path: Path, needed: Iterable[str], faults: list[str] | None = None
) -> dict[str, Any]:
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SeglibError(
            f"{path} is missing: put the annotations of the COCO folder there"
        ) from error
    except (OSError, ValueError) as error:
        raise SeglibError(f"cannot read {path} as JSON ({error}): replace it") from error
    record = content if isinstance(content, dict) else {}
    return {name: record_list(str(path), record, name, faults) for name in needed}


def _categories(
    path: Path,
    records: list[Annotation],
    faults: list[str] | None = None,
    in_use: Collection[Any] = (),
) -> tuple[Categories, list[str]]:
    """The categories, and a note for each category that is left out."""
    if not records:
        raise SeglibError(f"{path} has no categories: add those of the objects to 'categories'")
    valid = []
    for index, record in enumerate(records):
        with gathered(faults):
            where = location(path, "category", index, record)
            whole_number(where, record, "id")
            text(where, record, "name")
            check_flag(where, record, "isthing")
            # Some tools write colours as "#0af3b2". Only figures use them, so new ones are chosen.
            color = record["color"] if is_color(record.get("color")) else None
            valid.append({**record, "color": color})
    kept, notes = without_idle_namesakes(valid, in_use)
    with gathered(faults):
        try:
            return Categories.from_coco(kept), notes
        except SeglibError as error:
            raise SeglibError(f"{path}: {error}; give each its own") from error
    # Only to find the other faults: one category for each id, with a name of its own.
    distinct = {int(record["id"]): record for record in kept}
    return Categories.from_coco(
        {**record, "name": f"{record['name']} ({number})"} for number, record in distinct.items()
    ), notes


def _check_category(where: str, record: Annotation, categories: Categories) -> None:
    category_id = whole_number(where, record, "category_id")
    try:
        categories.by_coco_id(category_id)
    except SeglibError as error:
        raise SeglibError(f"{where}: {error}; add the category or remove the record") from error


def _images(
    path: Path, records: Iterable[Annotation], faults: list[str] | None
) -> dict[int, ImageRecord]:
    images: dict[int, ImageRecord] = {}
    for index, record in enumerate(records):
        with gathered(faults):
            where = location(path, "image", index, record)
            image_id = whole_number(where, record, "id")
            height, width = (whole_number(where, record, name) for name in ("height", "width"))
            if not (0 < height <= MAX_SIDE and 0 < width <= MAX_SIDE):
                raise SeglibError(
                    f"{where} has {shortened(width)} x {shortened(height)} px: correct 'width' and "
                    "'height'"
                )
            if image_id in images:
                raise SeglibError(f"{path}: image id {image_id} is used twice: ids must be unique")
            images[image_id] = ImageRecord(image_id, file_name(where, record), (height, width))
    return images


def _hashable(value: Any) -> Any:
    """The value itself, if it can be a category id."""
    return value if isinstance(value, int | float) else None
