"""What a user sees when something goes wrong: one clear line, and the right exit code."""

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
    """Exit codes: 0 done, 1 failed with a line on stderr, 2 wrong usage, 130 interrupted."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; SeglibError and Ctrl-C end it without a traceback."""
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
    """One line on stderr."""
    print(message, file=sys.stderr, flush=True)
