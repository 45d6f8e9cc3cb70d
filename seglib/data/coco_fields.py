"""The fields of COCO's records, each checked before it is used: file, record and field are named.

`where` begins every message: the file, and the record in it, such as "val.json: annotation 4".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from seglib.errors import SeglibError

Record = Mapping[str, Any]
LARGEST = 1e15  # of a length or an area, in pixels


def place(path: Path, kind: str, number: int, record: Record) -> str:
    """Where a record stands: by its id, or by its number from 1 where it has none."""
    return f"{path}: {kind} {record.get('id', f'number {number + 1}, without id,')}"


def objects(where: str, record: Record, name: str) -> list[dict[str, Any]]:
    """A field that is a list of records.

    Raises:
        SeglibError: it is no list, or an entry is no record.
    """
    entries = record.get(name)
    if not isinstance(entries, list):
        raise SeglibError(f"{where} has no list {name!r}: it is not a COCO annotation file")
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise SeglibError(
                f"{where}: entry {number} of {name!r} is {shortened(entry)}, not a record with "
                "named fields: mend or remove it"
            )
    return entries


def whole(where: str, record: Record, name: str) -> int:
    """A field that is a whole number, such as an id; SeglibError when it is missing or another."""
    value = _field(where, record, name)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise _refused(where, name, "a whole number", value)


def text(where: str, record: Record, name: str) -> str:
    """A field that is text; SeglibError when it is missing, empty or another."""
    value = _field(where, record, name)
    if isinstance(value, str) and value:
        return value
    raise _refused(where, name, "text", value)


def check_flag(where: str, record: Record, name: str) -> None:
    """A field that may be missing, and otherwise is 0 or 1; SeglibError when it is another."""
    if record.get(name, 0) not in (0, 1):
        raise _refused(where, name, "0 or 1", record[name])


def check_area(where: str, record: Record) -> None:
    """An area that may be missing, and otherwise is a number; SeglibError when it is another."""
    if "area" in record and not _is_number(record["area"]):
        raise _refused(where, "area", "a number", record["area"])


def is_color(value: Any) -> bool:
    """Whether this is a colour of three bytes, as COCO's panoptic files give them."""
    return _are_numbers(value, 3) and all(part in range(256) for part in value)


def box_sides(where: str, box: Any) -> tuple[float, float]:
    """Width and height of a COCO box (x, y, width, height); SeglibError when it is none."""
    if not _are_numbers(box, 4):
        raise _refused(where, "bbox", "four numbers x, y, width, height", box)
    return box[2], box[3]


def _field(where: str, record: Record, name: str) -> Any:
    if name not in record:
        raise SeglibError(f"{where} has no field {name!r}: add it or remove the record")
    return record[name]


def _refused(where: str, name: str, wanted: str, value: Any) -> SeglibError:
    return SeglibError(f"{where}: {name!r} must be {wanted}, not {shortened(value)}")


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, Sequence) and len(value) == count and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= LARGEST  # false for nan, too
