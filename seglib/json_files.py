"""Read untrusted JSON."""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from seglib.errors import SeglibError

MAX_DEPTH = 100  # of nested brackets; COCO's files have six levels
MAX_TEXT = 1 << 24  # bytes between two quotation marks

_WHOLE_TEXT = re.compile(rb'"(?:[^"\\\\]|\\\\.)*"', re.DOTALL)
_BRACKETS = b"[]{}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))


def parse_json(text: str | bytes) -> Any:
    """Parse a JSON text.

    Raises:
        ValueError: the text is not JSON, or nested too deeply for the parser.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class ShallowStream:
    """A JSON file, read in chunks for a streaming parser, that refuses deep nesting.

    Such parsers keep the path to their position, so their memory grows with the square of the
    depth.

    Args:
        file: open for reading in binary mode.
        name: what error messages call the file.
    """

    def __init__(self, file: BinaryIO, name: object) -> None:
        self._file, self._name = file, name
        self._depth, self._open_text = 0, b""

    def read(self, size: int = -1) -> bytes:
        """Read the next bytes.

        Raises:
            SeglibError: they are nested deeper than `MAX_DEPTH`, or a string does not end.
        """
        import numpy as np  # here, so that `seglib --help` does not wait for it

        chunk = self._file.read(size)
        outside = _WHOLE_TEXT.sub(b"", self._open_text + chunk)
        quote = outside.find(b'"')
        self._open_text = outside[quote:] if quote >= 0 else b""
        brackets = (outside[:quote] if quote >= 0 else outside).translate(None, _OTHERS)
        opening = np.isin(np.frombuffer(brackets, np.uint8), (ord("["), ord("{")))
        depths = self._depth + np.where(opening, 1, -1).cumsum()
        self._depth = int(depths[-1]) if len(depths) else self._depth
        if depths.max(initial=0) > MAX_DEPTH:
            raise SeglibError(
                f"{self._name} is not a COCO file: it is nested deeper than {MAX_DEPTH} levels"
            )
        if len(self._open_text) > MAX_TEXT:
            raise SeglibError(f"{self._name} is not a COCO file: it contains an endless string")
        return chunk
