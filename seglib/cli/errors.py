"""Errors as users see them: one line on stderr, and an exit code that scripts can test."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from seglib.errors import SeglibError

FAILED = 1
INTERRUPTED = 130


class ErrorsInOneLine(TyperGroup):
    """Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a SeglibError or Ctrl-C ends it without a traceback."""
        try:
            return super().invoke(ctx)
        except SeglibError as error:
            if os.environ.get("SEGLIB_DEBUG"):
                raise
            say(f"error: {' '.join(str(error).split())}")
            raise typer.Exit(FAILED) from error
        except KeyboardInterrupt as interruption:
            say(str(interruption) or "interrupted")
            raise typer.Exit(INTERRUPTED) from interruption


def say(message: str) -> None:
    """Print one line to stderr."""
    print(message, file=sys.stderr, flush=True)
