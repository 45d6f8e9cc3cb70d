"""What COCO's annotation files contain, read as a stream, and which images COCO mini takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ijson

from seglib.data.coco_fields import file_name, location, text, whole_number
from seglib.errors import SeglibError
from seglib.json_files import ShallowStream


@dataclass
class Index:
    """The part of an annotation file that is needed to choose images, small enough for memory.

    Attributes:
        images: COCO image records by id.
        categories: COCO category records by name.
        category_ids_of: ids of the categories that have a non-crowd object, by image id.
    """

    images: dict[int, dict[str, Any]]
    categories: dict[str, dict[str, Any]]
    category_ids_of: dict[int, set[int]]


def read_index(annotation_file: Path) -> Index:
    """Read images, categories and which image shows which category, in one streamed pass each.

    Raises:
        SeglibError: the file is not JSON, or a record lacks a field or has a file name that leads
            out of the folder of images.
    """
    images, categories = {}, {}
    for where, record in records(annotation_file, "images"):
        for name in ("width", "height"):
            whole_number(where, record, name)
        file_name(where, record)
        images[whole_number(where, record, "id")] = record
    for where, record in records(annotation_file, "categories"):
        whole_number(where, record, "id")
        categories[text(where, record, "name")] = record
    category_ids_of: dict[int, set[int]] = defaultdict(set)
    for where, record in records(annotation_file, "annotations"):
        image_id = whole_number(where, record, "image_id")
        if image_id not in images:
            raise SeglibError(
                f"{where} belongs to image {image_id}, which 'images' does not list: delete the "
                "file and run the command again"
            )
        if not record.get("iscrowd", 0):
            category_ids_of[image_id].add(whole_number(where, record, "category_id"))
    return Index(images, categories, dict(category_ids_of))


def records(annotation_file: Path, section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The records of one section of a COCO JSON file, one at a time, each with its location."""
    try:
        with annotation_file.open("rb") as file:
            stream = ShallowStream(file, annotation_file)
            for index, record in enumerate(ijson.items(stream, f"{section}.item", use_float=True)):
                if not isinstance(record, dict):
                    raise SeglibError(f"{annotation_file}: {section} {index} is not a record")
                yield location(annotation_file, section, index, record), record
    except (ijson.JSONError, ValueError, OverflowError) as error:
        raise SeglibError(
            f"{annotation_file} is not valid JSON ({error}): delete it and run the command again"
        ) from error


def choose_images(index: Index, names: Sequence[str]) -> list[int]:
    """Image ids that show the named categories, in the order to fetch them.

    The categories take turns, rarest first, so that any number of images is balanced.

    Args:
        index: an index that `read_index` returned.
        names: category names.

    Returns:
        all suitable image ids without duplicates, the same on every machine.

    Raises:
        SeglibError: a name that COCO does not have, or no name.
    """
    unknown = [name for name in names if name not in index.categories]
    if unknown or not names:
        raise SeglibError(
            f"unknown categories {', '.join(unknown) or '(none given)'}: "
            f"COCO has {', '.join(sorted(index.categories))}"
        )
    category_ids = [int(index.categories[name]["id"]) for name in dict.fromkeys(names)]
    showing: dict[int, list[int]] = {category_id: [] for category_id in category_ids}
    for image_id in sorted(index.category_ids_of):
        for category_id in index.category_ids_of[image_id] & showing.keys():
            showing[category_id].append(image_id)
    queues = sorted(showing.values(), key=len)
    longest = max(len(queue) for queue in queues)
    turns = (queue[turn] for turn in range(longest) for queue in queues if turn < len(queue))
    return list(dict.fromkeys(turns))
