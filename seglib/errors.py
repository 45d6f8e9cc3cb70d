"""The exception for everything that a user can fix."""

from __future__ import annotations


class SeglibError(Exception):
    """Something a user can fix: a missing file, a malformed field, a wrong shape.

    The message names the file, field or shape at fault and says what to do. The command
    line prints it without a traceback.
    """
