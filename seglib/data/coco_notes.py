"""Notes for the user about COCO annotation files that are valid but doubtful."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from seglib.structures import Size

Record = Mapping[str, Any]
SHOWN = 5  # ids in a note
TINY_AREA = 1.0  # px²: no object has a smaller area
MANY = 3  # so many objects do not have exactly the same area by coincidence


def annotation_notes(
    sizes: Mapping[int, Size], annotations: Mapping[int, Sequence[Record]]
) -> list[str]:
    """Notes on objects that cannot be learned or detected, or whose fields are meaningless.

    Args:
        sizes: (H, W) of every image, by image id.
        annotations: the checked records of the objects, by image id.
    """
    all_records = [record for records in annotations.values() for record in records]
    notes = [_crowd_note(all_records), _box_note(sizes, annotations), _area_note(all_records)]
    return [note for note in [*notes, _repeated_id_note(all_records)] if note]


def without_idle_namesakes(
    records: Sequence[dict[str, Any]], in_use: Collection[Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Leave out categories without objects that have the same name as another one.

    Args:
        records: valid records of `categories`.
        in_use: ids of the categories that have objects.

    Returns:
        the records that are kept, and a note for each one left out.
    """
    kept, notes = list(records), []
    for record in records:
        namesakes = [r for r in kept if r["name"] == record["name"] and r["id"] != record["id"]]
        if namesakes and record["id"] not in in_use:
            kept.remove(record)
            notes.append(
                f"category {record['id']} is left out: it has no objects and the same name as "
                f"category {namesakes[0]['id']}, {record['name']!r}"
            )
    return kept, notes


def has_area_inside(record: Record, size: Size) -> bool:
    """Whether the annotated box, if there is one, overlaps an image of (H, W)."""
    if "bbox" not in record:
        return True
    x, y, width, height = record["bbox"]
    across = min(x + width, size[1]) > max(x, 0)
    down = min(y + height, size[0]) > max(y, 0)
    return bool(across and down)


def listed(ids: Sequence[Any]) -> str:
    """The first few ids or names, for a note."""
    return ", ".join(map(str, ids[:SHOWN])) + (", …" if len(ids) > SHOWN else "")


def _crowd_note(records: Sequence[Record]) -> str:
    """Crowds are ignored: models neither learn them nor have to detect them."""
    if not records:
        return "no image has an object: there is nothing to learn or to detect"
    if not all(record.get("iscrowd") for record in records):
        return ""
    return (
        f"all {len(records)} objects are marked as crowds (iscrowd 1): there is nothing to learn "
        "or to detect; if they are single objects, set iscrowd to 0"
    )


def _box_note(sizes: Mapping[int, Size], annotations: Mapping[int, Sequence[Record]]) -> str:
    empty = [
        record
        for image_id, records in annotations.items()
        for record in records
        if not has_area_inside(record, sizes[image_id])
    ]
    if not empty:
        return ""
    what, counts = (
        ("1 object is", "it") if len(empty) == 1 else (f"{len(empty)} objects are", "them")
    )
    boxes = "its box has" if len(empty) == 1 else "their boxes have"
    return (
        f"{what} left out of training because {boxes} no area inside the image "
        f"({_named(empty)}); an evaluation counts {counts}"
    )


def _area_note(records: Sequence[Record]) -> str:
    """Some converters write an area of zero, or the same area for every object."""
    areas = [record["area"] for record in records if "area" in record]
    tiny = [r for r in records if "area" in r and r["area"] < TINY_AREA <= _box_area(r)]
    if tiny:
        fault = f"'area' is below {TINY_AREA:g} px² for {len(tiny)} of {len(records)} objects"
    elif len(areas) >= MANY and len(set(areas)) == 1 and len(set(map(_box_area, records))) > 1:
        fault = f"'area' is {areas[0]:g} px² for all {len(records)} objects, whatever their boxes"
    else:
        return ""
    return (
        f"{fault}: training uses the pixels of the masks instead; an evaluation groups objects "
        "by the file's areas, as pycocotools does, so its figures by size mean little"
    )


def _repeated_id_note(records: Sequence[Record]) -> str:
    times = Counter(_ids(records))
    repeated = [number for number, count in times.items() if count > 1]
    if not repeated:
        return ""
    ids = "1 annotation id is" if len(repeated) == 1 else f"{len(repeated)} annotation ids are"
    return (
        f"{ids} used more than once ({listed(repeated)}): every "
        "record counts here, but pycocotools would use the last record of each id for all"
    )


def _ids(records: Sequence[Record]) -> Iterator[Any]:
    return (r["id"] for r in records if isinstance(r.get("id"), int | float | str))


def _box_area(record: Record) -> float:
    if "bbox" not in record:
        return TINY_AREA
    return float(record["bbox"][2] * record["bbox"][3])


def _named(records: Sequence[Record]) -> str:
    ids = [record.get("id", "without id") for record in records]
    return f"annotation{'s' if len(ids) > 1 else ''} {listed(ids)}"
