"""Read JSON that nobody has vouched for."""

from __future__ import annotations

import json
import re
from typing import Any, BinaryIO

from seglib.errors import SeglibError

DEEPEST = 100  # brackets within brackets; COCO's files have six
LONGEST_TEXT = 1 << 24  # bytes between two quotation marks

_WHOLE_TEXT = re.compile(rb'"(?:[^"\\\\]|\\\\.)*"', re.DOTALL)
_BRACKETS = b"[]{}"
_OTHERS = bytes(set(range(256)) - set(_BRACKETS))


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: it is not JSON, or has more brackets within brackets than the parser can take.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("too many brackets within brackets") from error


class ShallowStream:
    """A binary JSON file that is read piece by piece, for a streaming parser.

    Such parsers remember the path to where they are, so that their memory grows with the square of
    the depth. This wrapper ends the reading before a file can make use of that.

    Args:
        file: open for reading in binary mode.
        name: for messages.
    """

    def __init__(self, file: BinaryIO, name: object) -> None:
        self._file, self._name = file, name
        self._depth, self._open_text = 0, b""

    def read(self, size: int = -1) -> bytes:
        """The next bytes.

        Raises:
            SeglibError: they nest deeper than `DEEPEST`, or a text does not end.
        """
        import numpy as np  # here, so that `seglib --help` need not wait for it

        chunk = self._file.read(size)
        outside = _WHOLE_TEXT.sub(b"", self._open_text + chunk)
        quote = outside.find(b'"')
        self._open_text = outside[quote:] if quote >= 0 else b""
        brackets = (outside[:quote] if quote >= 0 else outside).translate(None, _OTHERS)
        opening = np.isin(np.frombuffer(brackets, np.uint8), (ord("["), ord("{")))
        depths = self._depth + np.where(opening, 1, -1).cumsum()
        self._depth = int(depths[-1]) if len(depths) else self._depth
        if depths.max(initial=0) > DEEPEST or len(self._open_text) > LONGEST_TEXT:
            raise SeglibError(f"{self._name} is not a COCO file: it nests deeper than {DEEPEST}")
        return chunk
