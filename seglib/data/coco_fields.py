"""Read and check the fields of COCO records; every error names file, record and field.

Messages begin with `where`: the file and the record in it, such as "val.json: annotation 4".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

from seglib.errors import SeglibError

Record = Mapping[str, Any]
MAX_NUMBER = 1e15  # px or px²
MAX_NAME_LENGTH = 255  # of a file, in characters


@contextmanager
def gathered(faults: list[str] | None) -> Iterator[None]:
    """Append the message of a SeglibError to `faults` and continue; without a list, raise it."""
    try:
        yield
    except SeglibError as error:
        if faults is None:
            raise
        faults.append(str(error))


def location(path: Path, kind: str, index: int, record: Record) -> str:
    """Where a record is: its file, and its id or, without one, its position counted from 1."""
    return f"{path}: {kind} {record.get('id', f'number {index + 1}, without id,')}"


def record_list(
    where: str, record: Record, name: str, faults: list[str] | None = None
) -> list[dict[str, Any]]:
    """A field that is a list of records.

    Raises:
        SeglibError: it is not a list, or an entry is not a record; if `faults` is given, it
            receives the message and the entry is left out.
    """
    entries = record.get(name)
    if not isinstance(entries, list):
        raise SeglibError(f"{where} has no list {name!r}: it is not a COCO annotation file")
    for index, entry in enumerate(entries):
        with gathered(faults):
            if not isinstance(entry, dict):
                raise SeglibError(
                    f"{where}: entry {index} of {name!r} is {shortened(entry)}, not a record with "
                    "named fields: fix or remove it"
                )
    return [entry for entry in entries if isinstance(entry, dict)]


def whole_number(where: str, record: Record, name: str) -> int:
    """A field that must be a whole number, such as an id; raises SeglibError otherwise."""
    value = _field(where, record, name)
    if not isinstance(value, bool) and isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _wrong_value(where, name, "a whole number", value)


def text(where: str, record: Record, name: str) -> str:
    """A field that must be non-empty text; raises SeglibError otherwise."""
    value = _field(where, record, name)
    if isinstance(value, str) and value:
        return value
    raise _wrong_value(where, name, "text", value)


def file_name(where: str, record: Record, name: str = "file_name") -> str:
    """A field that must name a file below a folder; raises SeglibError otherwise.

    The text becomes part of a path, so it must not lead out of the folder on any system.
    """
    value = text(where, record, name)
    parts = value.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0] or not value.isprintable():
        raise SeglibError(
            f"{where}: {name!r} {shortened(value)} does not name a file below the data set's "
            "folder: put the file there and name it by its path from there"
        )
    if max(map(len, parts)) > MAX_NAME_LENGTH:
        raise SeglibError(
            f"{where}: {name!r} has {len(value)} characters, too many for the name of a file"
        )
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


def check_box(where: str, box: Any) -> None:
    """Raise SeglibError unless this is a COCO box: x, y, width, height."""
    if not _are_numbers(box, 4):
        raise _wrong_value(where, "bbox", "four numbers x, y, width, height", box)


def _field(where: str, record: Record, name: str) -> Any:
    if name not in record:
        raise SeglibError(f"{where} has no field {name!r}: add it or remove the record")
    return record[name]


def _wrong_value(where: str, name: str, wanted: str, value: Any) -> SeglibError:
    return SeglibError(f"{where}: {name!r} must be {wanted}, not {shortened(value)}")


def _are_numbers(value: Any, count: int) -> bool:
    return isinstance(value, Sequence) and len(value) == count and all(map(_is_number, value))


def _is_number(value: Any) -> bool:
    # The comparison is false for NaN, too.
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER
    )
