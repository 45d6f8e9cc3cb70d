"""The weights in a file of `torch.save`, read without torch's own unpickler.

    since 1.6   a zip file of data.pkl, which describes tensors, and of one entry per storage
    before 1.6  five pickles in a row, the last two of which describe tensors and name the
                storages, followed by the bytes of the storages

A tensor is a window on a storage: offset, size and stride. No memory is allocated for it before
they have been compared with the size of the storage.
"""

from __future__ import annotations

import io
import math
import re
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from seglib.pretrained.pickle_machine import read_pickle
from seglib.pretrained.pickle_vocabulary import Damaged, Name, Refused, Vocabulary
from seglib.pretrained.plain_pickle import ARRAY_CALLS, is_harmless

MAGIC = b"\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."  # the first pickle before 1.6
MAX_DESCRIPTION = 1 << 26  # bytes of data.pkl; that of a published network has about 100 KB
MAX_DIMENSIONS = 16
MAX_SIDE = 1 << 40

_STORAGES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16,
    "BFloat16": torch.bfloat16, "Long": torch.int64, "Int": torch.int32, "Short": torch.int16,
    "Char": torch.int8, "Byte": torch.uint8, "Bool": torch.bool,
}  # fmt: skip
_KINDS = {Name("torch", f"{kind}Storage"): dtype for kind, dtype in _STORAGES.items()}
_CONSTANTS = {Name("torch", str(dtype).removeprefix("torch.")) for dtype in _STORAGES.values()}

_DEVICE = Name("torch", "device")


@dataclass(frozen=True)
class Storage:
    """A block of numbers in the file, on which tensors are windows."""

    key: str
    dtype: torch.dtype
    count: int


@dataclass(frozen=True)
class Window:
    """The description of a tensor whose numbers have not been read."""

    storage: Storage
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]

    def __post_init__(self) -> None:
        """Raises Refused if the tensor would be larger than its storage or extend beyond it."""
        steps = zip(self.size, self.stride, strict=True)
        last = self.offset + sum((count - 1) * step for count, step in steps)
        if 0 not in self.size and max(last + 1, math.prod(self.size)) > self.storage.count:
            raise Refused(
                f"a tensor of size {list(self.size)} from {self.storage.count} stored numbers"
            )

    @property
    def nbytes(self) -> int:
        """Size of the tensor in bytes."""
        return math.prod(self.size) * self.storage.dtype.itemsize


class TorchFile:
    """A file of `torch.save`.

    Attributes:
        value: what was saved, with a `Window` in place of each tensor.
    """

    def __init__(self, path: Path) -> None:
        """Read the description of the tensors, but not their numbers.

        Raises:
            Refused: the file asks for more than weights need.
            Damaged: it was not written by torch.save, or ends too early.
        """
        self._storages: dict[str, Storage] = {}
        self._bytes: dict[str, bytearray] = {}
        # Tied weights share a storage, but weights never need a thousand windows on a large one.
        self._left = 2 * path.stat().st_size
        self._vocabulary = Vocabulary(_CALLS, _is_harmless, self._storage)
        with path.open("rb") as stream:
            zipped = stream.read(4) == b"PK\x03\x04"
        self._content, self.value = (self._open_zip if zipped else self._open_legacy)(path)

    def tensor(self, window: Window) -> Tensor:
        """Read one tensor.

        Raises:
            Refused: the tensors read so far are larger than the file.
            Damaged: its storage is not in the file.
        """
        storage = window.storage
        self._left -= window.nbytes
        if self._left < 0:
            raise Refused("tensors that are larger than the file")
        if 0 in window.size:
            return torch.zeros(window.size, dtype=storage.dtype)
        if storage.key not in self._bytes:
            self._bytes[storage.key] = self._content(storage)
        flat = torch.frombuffer(self._bytes[storage.key], dtype=storage.dtype)
        return flat.as_strided(window.size, window.stride, window.offset).clone()

    def _storage(self, reference: Any) -> Storage:
        """("storage", kind, key, device, count[, view]) in the description."""
        if not isinstance(reference, tuple) or len(reference) not in (5, 6):
            raise Refused("data outside the file")
        word, kind, key, _, count = reference[:5]
        plain = isinstance(key, str) and type(count) is int and count >= 0
        if word != "storage" or not isinstance(kind, Name) or kind not in _KINDS or not plain:
            raise Refused(f"a storage of kind {kind}" if isinstance(kind, Name) else "no storage")
        storage = Storage(key, _KINDS[kind], count)
        if self._storages.setdefault(key, storage) != storage:
            raise Damaged(f"two different storages {key!r}")
        return storage

    def _open_zip(self, path: Path) -> tuple[Callable[[Storage], bytearray], Any]:
        with _zip_errors_as_damaged(), zipfile.ZipFile(path) as archive:
            entries = {entry.filename: entry for entry in archive.infolist()}
            found = [name for name in entries if re.fullmatch(r"[^/]*/data\.pkl", name)]
            if len(found) != 1:
                raise Damaged("a zip file without exactly one data.pkl")
            folder = found[0].removesuffix("data.pkl")
            order = entries.get(f"{folder}byteorder")
            if order is not None and _stored(archive, order, 16) != sys.byteorder.encode():
                raise Refused("numbers in a byte order that this machine does not use")
            described = _stored(archive, entries[found[0]], MAX_DESCRIPTION)

        def content(storage: Storage) -> bytearray:
            name, wanted = f"{folder}data/{storage.key}", storage.count * storage.dtype.itemsize
            with _zip_errors_as_damaged(), zipfile.ZipFile(path) as archive:
                if name not in entries or entries[name].file_size != wanted:
                    raise Damaged(f"{name} does not have {wanted} bytes")
                return bytearray(_stored(archive, entries[name], wanted))

        return content, read_pickle(io.BytesIO(described), self._vocabulary)

    def _open_legacy(self, path: Path) -> tuple[Callable[[Storage], bytearray], Any]:
        raw = path.read_bytes()
        stream = io.BytesIO(raw)
        _, version, machine, value, keys = (read_pickle(stream, self._vocabulary) for _ in range(5))
        if version != 1001 or not isinstance(machine, dict) or not isinstance(keys, list):
            raise Damaged("not the five pickles of an early torch.save")
        if machine.get("little_endian") is not (sys.byteorder == "little"):
            raise Refused("numbers in a byte order that this machine does not use")
        places, place = {}, stream.tell()
        for key in keys:  # every storage begins with its number of elements
            storage = self._storages.get(key) if isinstance(key, str) else None
            if storage is None or raw[place : place + 8] != struct.pack("<q", storage.count):
                raise Damaged("its storages are not those that its tensors need")
            places[key] = slice(place + 8, place + 8 + storage.count * storage.dtype.itemsize)
            place = places[key].stop

        def content(storage: Storage) -> bytearray:
            if storage.key not in places or places[storage.key].stop > len(raw):
                raise Damaged(f"it ends within storage {storage.key!r}")
            return bytearray(raw[places[storage.key]])

        return content, value


def is_torch_file(start: bytes) -> bool:
    """Whether a file that begins like this was written by `torch.save`."""
    return start.startswith((b"PK\x03\x04", MAGIC))


@contextmanager
def _zip_errors_as_damaged() -> Iterator[None]:
    """Turn everything that zipfile raises for a damaged zip file into `Damaged`."""
    try:
        yield
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise Damaged(str(error)) from error
    except (EOFError, LookupError, OverflowError, struct.error, zlib.error) as error:
        raise Damaged("a zip file that ends too early") from error


def _stored(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    """The bytes of an uncompressed entry; torch compresses none, and a zip bomb needs one."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise Refused(f"a compressed entry, {entry.filename!r}")
    if entry.file_size > limit:
        raise Refused(f"{entry.file_size} bytes in {entry.filename!r}")
    return archive.read(entry)


def _window(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Window:
    """`torch._utils._rebuild_tensor_v2`: a tensor as a window on a storage."""
    numbers = (offset, *_tuple(size), *_tuple(stride))
    if not isinstance(storage, Storage) or len(size) != len(stride):
        raise Refused("a tensor without a storage")
    if len(size) > MAX_DIMENSIONS or not all(type(n) is int and 0 <= n < MAX_SIDE for n in numbers):
        raise Refused("a tensor whose size and stride are not whole numbers")
    return Window(storage, offset, tuple(size), tuple(stride))


def _tuple(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, tuple):
        raise Refused("a tensor without size and stride")
    return value


def _parameter(window: Any, *_: Any) -> Window:
    """`torch._utils._rebuild_parameter`: a weight that was saved as a parameter."""
    if not isinstance(window, Window):
        raise Refused("a parameter that is not a tensor")
    return window


def _size(numbers: Any = ()) -> tuple[Any, ...]:
    """`torch.Size`."""
    return _tuple(numbers)


_CALLS: dict[Name, Callable[..., Any]] = ARRAY_CALLS | {
    Name("torch._utils", "_rebuild_tensor_v2"): _window,
    Name("torch._utils", "_rebuild_tensor"): _window,
    Name("torch._utils", "_rebuild_parameter"): _parameter,
    Name("torch", "Size"): _size,
}


def _is_harmless(name: Name) -> bool:
    return is_harmless(name) or name in _KINDS or name in _CONSTANTS or name == _DEVICE
