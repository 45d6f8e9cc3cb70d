"""The one exception that people are meant to read."""

from __future__ import annotations


class SeglibError(Exception):
    """Something a user can mend: a missing file, a malformed field, a wrong shape.

    The message names the file, field or shape at fault and says what to do. The command
    line prints it as one line without a traceback; code may catch it as usual.
    """
