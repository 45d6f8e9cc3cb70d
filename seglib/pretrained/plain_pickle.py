"""Read arrays from an untrusted pickle without running any code in it.

A pickle is a program: it names functions and calls them. Published weights need only the few names
in `_ALLOWED`, and none of them is imported here: each becomes a stand-in from this module, and
`np.frombuffer` reads the numbers. Every other name is refused.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np

from seglib.errors import SeglibError

_KINDS = "biuf"  # booleans, integers and floats, but not objects


class _RefusedError(pickle.UnpicklingError):
    """The file names something that weights do not need."""


class _DType:
    """Stands in for numpy.dtype; the state of a plain dtype contains its byte order."""

    __slots__ = ("code", "order")

    def __init__(self, code: object) -> None:
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        self.order = str(state[1])

    def plain(self) -> np.dtype[Any]:
        kind = np.dtype(self.code)
        if kind.kind not in _KINDS:
            raise _RefusedError(f"an array of {self.code!r}")
        return kind.newbyteorder(">" if self.order == ">" else "<" if self.order == "<" else "=")


class _Array:
    """Stands in for numpy.ndarray while its state is read."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value: np.ndarray[Any, Any] = np.zeros(0)

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, columns_first, content = state
        self.value = _from_bytes(content, dtype, shape, "F" if columns_first else "C")


def _from_bytes(content: Any, dtype: Any, shape: Any, order: str) -> np.ndarray[Any, Any]:
    """The array in these bytes, which Python 2 pickled as text."""
    if not isinstance(dtype, _DType) or not isinstance(content, str | bytes | bytearray):
        raise _RefusedError("an array of objects")
    raw = content.encode("latin1") if isinstance(content, str) else bytes(content)
    flat = np.frombuffer(raw, dtype.plain())
    return flat.reshape(tuple(int(side) for side in shape), order="F" if order == "F" else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _new_dtype(code: object, *_: object) -> _DType:
    return _DType(code)


def _encoded(text: str, encoding: str = "latin1") -> bytes:
    """The bytes that pickle protocol 2 wrote as text with the name of this encoding."""
    if encoding != "latin1":
        raise _RefusedError(f"the encoding {encoding!r}")
    return text.encode("latin1")


def _ndarray(*_: object) -> None:
    raise _RefusedError("a call to numpy.ndarray")


_ALLOWED: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): _ndarray,
    ("numpy", "dtype"): _new_dtype,
    ("collections", "OrderedDict"): dict,
    ("_codecs", "encode"): _encoded,
}
for _core in ("numpy.core", "numpy._core"):  # numpy 1 and 2
    _ALLOWED[f"{_core}.multiarray", "_reconstruct"] = _reconstruct
    _ALLOWED[f"{_core}.numeric", "_frombuffer"] = _from_bytes


class _PlainUnpickler(pickle.Unpickler):
    """Resolves the names in `_ALLOWED` and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name in the file, which must not be imported."""
        if (module, name) not in _ALLOWED:
            raise _RefusedError(f"{module}.{name}")
        return _ALLOWED[module, name]


def read_plain_pickle(content: bytes, source: object) -> Any:
    """Read nested dicts, lists, tuples, numbers, text and numeric arrays.

    Args:
        content: a pickle written by Python 2 or 3 and numpy 1 or 2.
        source: the file it comes from, for error messages.

    Returns:
        the pickled value, with numpy arrays.

    Raises:
        SeglibError: the pickle is damaged, or names anything else; the message says what. No code
            in it is run.
    """
    try:
        return _unwrapped(_PlainUnpickler(io.BytesIO(content), encoding="latin1").load())
    except _RefusedError as refused:
        raise SeglibError(
            f"{source} asks for {refused}, but weights need only numeric arrays: the file was not "
            "read and no code in it was run; do not trust it"
        ) from refused
    except (pickle.UnpicklingError, EOFError, ArithmeticError, LookupError) as error:
        raise SeglibError(f"{source} is damaged or not a pickle ({error})") from error
    except (TypeError, ValueError, AttributeError, RecursionError, MemoryError) as error:
        raise SeglibError(f"{source} is damaged or not a pickle of arrays ({error})") from error


def _unwrapped(value: Any) -> Any:
    """Replace every stand-in by its array, at any depth."""
    if isinstance(value, _Array):
        return value.value
    if isinstance(value, dict):
        return {key: _unwrapped(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_unwrapped(item) for item in value)
    return value
