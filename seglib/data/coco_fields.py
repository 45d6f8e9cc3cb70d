"""Read and check the fields of COCO records; every error names file, record and field.

Messages begin with `where`: the file and the record in it, such as "val.json: annotation 4".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from seglib.errors import SeglibError

Record = Mapping[str, Any]
MAX_NUMBER = 1e15  # px or px²
LONGEST_NAME = 255  # characters that a file system allows


def location(path: Path, kind: str, index: int, record: Record) -> str:
    """Where a record is: its file, and its id or, without one, its position counted from 1."""
    return f"{path}: {kind} {record.get('id', f'number {index + 1}, without id,')}"


def record_list(where: str, record: Record, name: str) -> list[dict[str, Any]]:
    """A field that is a list of records.

    Raises:
        SeglibError: it is not a list, or an entry is not a record.
    """
    entries = record.get(name)
    if not isinstance(entries, list):
        raise SeglibError(f"{where} has no list {name!r}: it is not a COCO annotation file")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise SeglibError(
                f"{where}: entry {index} of {name!r} is {shortened(entry)}, not a record with "
                "named fields: fix or remove it"
            )
    return entries


def whole_number(where: str, record: Record, name: str) -> int:
    """A field that is a whole number, such as an id; SeglibError otherwise."""
    value = _field(where, record, name)
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return int(value)
    raise _wrong_value(where, name, "a whole number", value)


def text(where: str, record: Record, name: str) -> str:
    """A field that is non-empty text; SeglibError otherwise."""
    value = _field(where, record, name)
    if isinstance(value, str) and value:
        return value
    raise _wrong_value(where, name, "text", value)


def file_name(where: str, record: Record, name: str = "file_name") -> str:
    """A field that names a file below a folder; SeglibError otherwise.

    The text becomes a path, so it must not lead out of the folder, on any system.
    """
    value = text(where, record, name)
    parts = value.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0] or not value.isprintable():
        raise SeglibError(
            f"{where}: {name!r} {shortened(value)} does not name a file below the data set's "
            "folder: put the file there and name it by its path from there"
        )
    if max(map(len, parts)) > LONGEST_NAME:
        raise SeglibError(f"{where}: {name!r} has {len(value)} characters, which no file can have")
    return value


def check_flag(where: str, record: Record, name: str) -> None:
    """Raise SeglibError unless the field is missing, 0 or 1."""
    if record.get(name, 0) not in (0, 1):
        raise _wrong_value(where, name, "0 or 1", record[name])


def check_area(where: str, record: Record) -> None:
    """Raise SeglibError unless the area is missing or a number."""
    if "area" in record and not _is_number(record["area"]):
        raise _wrong_value(where, "area", "a number", record["area"])


def is_color(value: Any) -> bool:
    """Whether this is a colour of three bytes, as in COCO's panoptic files."""
    return _are_numbers(value, 3) and all(part in range(256) for part in value)


def box_size(where: str, box: Any) -> tuple[float, float]:
    """Width and height of a COCO box (x, y, width, height); SeglibError if it is not a box."""
    if not _are_numbers(box, 4):
        raise _wrong_value(where, "bbox", "four numbers x, y, width, height", box)
    return box[2], box[3]


def _field(where: str, record: Record, name: str) -> Any:
    if name not in record:
        raise SeglibError(f"{where} has no field {name!r}: add it or remove the record")
    return record[name]


def _wrong_value(where: str, name: str, wanted: str, value: Any) -> SeglibError:
    return SeglibError(f"{where}: {name!r} must be {wanted}, not {shortened(value)}")


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, Sequence) and len(value) == count and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= MAX_NUMBER  # false for NaN, too
