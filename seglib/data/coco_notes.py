"""What a COCO annotation file says that its reader should tell the user, though it can be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
Size = tuple[int, int]
SHOWN = 5  # ids in a note
TINY_AREA = 1.0  # px²: what lies below is no area of an object
MANY = 3  # objects of one and the same area that are no coincidence


def annotation_notes(
    sizes: Mapping[int, Size], annotations: Mapping[int, Sequence[Record]]
) -> list[str]:
    """Notes on objects that cannot be learned or found, or whose fields mean nothing.

    Args:
        sizes: (H, W) of every image, by image id.
        annotations: the checked records of its objects, by image id.
    """
    every = [record for records in annotations.values() for record in records]
    notes = [_crowd_note(every), _box_note(sizes, annotations), _area_note(every)]
    return [note for note in [*notes, _repeated_id_note(every)] if note]


def without_idle_namesakes(
    records: Sequence[dict[str, Any]], in_use: Collection[Any]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Leave out categories without objects that have the name of another one.

    Args:
        records: valid records of `categories`.
        in_use: ids of the categories that have objects.

    Returns:
        the records kept, and a note for each that was left out.
    """
    kept, notes = list(records), []
    for record in records:
        namesakes = [r for r in kept if r["name"] == record["name"] and r["id"] != record["id"]]
        if namesakes and record["id"] not in in_use:
            kept.remove(record)
            notes.append(
                f"category {record['id']} is left out: it has no objects and the name of category "
                f"{namesakes[0]['id']}, {record['name']!r}"
            )
    return kept, notes


def has_area_inside(record: Record, size: Size) -> bool:
    """Whether the annotated box, if there is one, covers some of an image of (H, W)."""
    if "bbox" not in record:
        return True
    x, y, width, height = record["bbox"]
    across = min(x + width, size[1]) > max(x, 0)
    down = min(y + height, size[0]) > max(y, 0)
    return bool(across and down)


def listed(ids: Sequence[Any]) -> str:
    """The first few, for a note."""
    return ", ".join(map(str, ids[:SHOWN])) + (", …" if len(ids) > SHOWN else "")


def _crowd_note(every: Sequence[Record]) -> str:
    """Crowds excuse detections: they are not learned, and nobody has to find them."""
    if not every:
        return "no image has an object: there is none to learn and none to find"
    if not all(record.get("iscrowd") for record in every):
        return ""
    return (
        f"all {len(every)} objects are marked as crowds (iscrowd 1): there is none to learn and "
        "none to find; where they are single objects, set iscrowd to 0"
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


def _area_note(every: Sequence[Record]) -> str:
    """Converters write an area of zero, or one and the same."""
    areas = [record["area"] for record in every if "area" in record]
    tiny = [r for r in every if "area" in r and r["area"] < TINY_AREA <= _box_area(r)]
    if tiny:
        fault = f"'area' is below {TINY_AREA:g} px² for {len(tiny)} of {len(every)} objects"
    elif len(areas) >= MANY and len(set(areas)) == 1 and len(set(map(_box_area, every))) > 1:
        fault = f"'area' is {areas[0]:g} px² for all {len(every)} objects, whatever their boxes"
    else:
        return ""
    return (
        f"{fault}: training counts the pixels of the masks instead; an evaluation sorts objects "
        "by the file's own areas, as pycocotools does, so that its figures by size mean little"
    )


def _repeated_id_note(every: Sequence[Record]) -> str:
    times = Counter(_ids(every))
    repeated = [number for number, count in times.items() if count > 1]
    if not repeated:
        return ""
    return (
        f"{len(repeated)} annotation ids are used more than once ({listed(repeated)}): every "
        "record counts here, but pycocotools would take the last of them for all"
    )


def _ids(every: Sequence[Record]) -> Iterator[Any]:
    return (r["id"] for r in every if isinstance(r.get("id"), int | float | str))


def _box_area(record: Record) -> float:
    if "bbox" not in record:
        return TINY_AREA
    return float(record["bbox"][2] * record["bbox"][3])


def _named(records: Sequence[Record]) -> str:
    ids = [record.get("id", "without id") for record in records]
    return f"annotation{'s' if len(ids) > 1 else ''} {listed(ids)}"
