"""The exception for everything that a user can fix."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class SeglibError(Exception):
    """Something a user can fix: a missing file, a malformed field, a wrong shape.

    The message names the file, field or shape at fault and says what to do. The command
    line prints it without a traceback.
    """


def unknown_name(kind: str, name: str, known: Iterable[str], otherwise: str = "") -> SeglibError:
    """The error for a name that does not exist: "did you mean …?", and all names that do.

    Args:
        kind: what the name should have named, such as "model".
        name: as the user gave it.
        known: the names that exist.
        otherwise: what else could have been given, after a comma.
    """
    known = list(known)
    near = get_close_matches(name.lower(), known, n=1)
    hint = f"did you mean {near[0]!r}? Choose" if near else "choose"
    return SeglibError(f"no {kind} is called {name!r}: {hint} among {', '.join(known)}{otherwise}")
