"""Read pickles of numpy arrays, the format in which detectron2 publishes its weights.

No name is looked up in numpy: each becomes a description from this module, and `np.frombuffer`
reads the numbers.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from seglib.pretrained.pickle_machine import read_pickle
from seglib.pretrained.pickle_vocabulary import (
    Damaged,
    Name,
    Refused,
    Stateful,
    Vocabulary,
    errors_about,
)

_KINDS = "biuf"  # booleans, integers and floats, but not objects
_MAX_ITEMSIZE = 8  # bytes per number: long doubles differ between machines
_MAX_DIMENSIONS = 16


class DType(Stateful):
    """Stands in for numpy.dtype; its state contains the byte order."""

    def __init__(self, code: object, *_: object) -> None:
        if not isinstance(code, str | bytes) or len(code) > 8:
            raise Refused("a dtype without a code")
        self.code = code.decode("latin1") if isinstance(code, bytes) else code
        self.order = "="

    def set_state(self, state: object) -> None:
        """(version, byte order, …)"""
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", ">", "=", "|"):
            raise Refused("a dtype without a byte order")
        self.order = state[1]

    def plain(self) -> np.dtype[Any]:
        """The dtype of the bytes in the file."""
        try:
            kind = np.dtype(self.code)
        except (TypeError, ValueError) as error:
            raise Refused(f"an array of {self.code!r}") from error
        if kind.kind not in _KINDS or kind.itemsize > _MAX_ITEMSIZE:
            raise Refused(f"an array of {self.code!r}")
        return kind.newbyteorder(">" if self.order == ">" else "<" if self.order == "<" else "=")


class Array(Stateful):
    """Stands in for numpy.ndarray.

    Attributes:
        value: the array, or None before `set_state`.
    """

    def __init__(self, *_: object) -> None:
        self.value: np.ndarray[Any, Any] | None = None

    def set_state(self, state: object) -> None:
        """(version, shape, dtype, columns first, bytes)"""
        if not isinstance(state, tuple) or len(state) != 5:
            raise Refused("an array without shape and content")
        _, shape, dtype, columns_first, content = state
        self.value = _from_bytes(content, dtype, shape, "F" if columns_first else "C").value

    @classmethod
    def of(cls, value: np.ndarray[Any, Any]) -> Array:
        """Wrap a known array."""
        array = cls()
        array.value = value
        return array


def _from_bytes(content: Any, dtype: Any, shape: Any, order: Any) -> Array:
    """The array in these bytes, which Python 2 pickled as text."""
    if not isinstance(dtype, DType) or not isinstance(content, str | bytes | bytearray):
        raise Refused("an array of objects")
    if not isinstance(shape, tuple) or len(shape) > _MAX_DIMENSIONS:
        raise Refused("an array without a shape")
    if not all(type(side) is int and side >= 0 for side in shape):
        raise Refused("an array with a shape that is not of whole numbers")
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    kind = dtype.plain()
    if len(raw) != prod(shape) * kind.itemsize:
        raise Damaged(f"an array of shape {list(shape)} in {len(raw)} bytes")
    flat = np.frombuffer(raw, kind)
    value = flat.reshape(shape, order="F" if order == "F" else "C")
    return Array.of(value.astype(kind.newbyteorder("=")))


def _encoded(text: Any = "", encoding: Any = "latin1") -> bytes:
    """The bytes that pickle protocol 2 wrote as text with the name of this encoding."""
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise Refused(f"an encoding {encoding!r}" if isinstance(encoding, str) else "an encoding")
    return text.encode("latin1")


def _no_call(*_: object) -> None:
    raise Refused("a call to numpy.ndarray")


def _ordered_dict(items: Any = (), *_: object) -> dict[Any, Any]:
    if not (isinstance(items, tuple | list) and len(items) == 0):
        raise Refused("an OrderedDict that starts with items")
    return {}


ARRAY_CALLS: dict[Name, Callable[..., Any]] = {
    Name("numpy", "ndarray"): _no_call,
    Name("numpy", "dtype"): DType,
    Name("collections", "OrderedDict"): _ordered_dict,
    Name("_codecs", "encode"): _encoded,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    ARRAY_CALLS[Name(f"{_core}.multiarray", "_reconstruct")] = Array
    ARRAY_CALLS[Name(f"{_core}.numeric", "_frombuffer")] = _from_bytes

# Classes of objects that training scripts save with the weights. They are not instantiated.
_OPAQUE = frozenset(
    {
        Name("argparse", "Namespace"),
        Name("types", "SimpleNamespace"),
        Name("collections", "defaultdict"),
        Name("collections", "Counter"),
        Name("datetime", "datetime"),
        Name("datetime", "timedelta"),
        Name("pathlib", "PosixPath"),
        Name("pathlib", "WindowsPath"),
        Name("builtins", "set"),
        Name("numpy.core.multiarray", "scalar"),
        Name("numpy._core.multiarray", "scalar"),
    }
)


def is_harmless(name: Name) -> bool:
    """Whether objects of this class are allowed in a file of weights; they are not read."""
    return name in _OPAQUE


def read_plain_pickle(content: bytes, source: object) -> Any:
    """Read nested dicts, lists, tuples, numbers, text and numeric arrays.

    Args:
        content: a pickle written by Python 2 or 3 and numpy 1 or 2.
        source: the file it comes from, for error messages.

    Returns:
        the pickled value, with arrays as `Array` and harmless objects as `Opaque`.

    Raises:
        SeglibError: the pickle is damaged, or asks for anything else; the message says what. No
            code in it is run.
    """
    with errors_about(source):
        return read_pickle(io.BytesIO(content), Vocabulary(calls=ARRAY_CALLS, opaque=is_harmless))
