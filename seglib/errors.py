"""The exception for everything that a user can fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SeglibError(Exception):
    """Something a user can fix: a missing file, a malformed field, a wrong shape.

    The message names the file, field or shape at fault and says what to do. The command
    line prints it without a traceback. Since it may quote text from files, characters that would
    move a terminal's cursor or change the direction of its text are escaped.
    """

    def __init__(self, message: object = "") -> None:
        super().__init__("\n".join(map(printable, str(message).split("\n"))))


def printable(text: str) -> str:
    """The text on one line, with every unprintable character escaped."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def unknown_name(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> SeglibError:
    """The error for a name that does not exist: "did you mean …?", and all names that do.

    Args:
        kind: what the name stands for, such as "model".
        name: the name that the user gave.
        known: the names that exist.
        otherwise: further choices, as the end of the sentence.
    """
    known = list(known)
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
    return SeglibError(f"no {kind} is called {name!r}: {hint} among {', '.join(known)}{otherwise}")
