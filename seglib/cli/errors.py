"""How commands report errors: one line on stderr, and an exit code that scripts can test."""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from seglib.errors import SeglibError, printable

FAILED = 1
INTERRUPTED = 130


class ErrorsInOneLine(TyperGroup):
    """Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; characters that the console cannot show are escaped."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **kwargs)
        finally:
            _flush_output()

    def invoke(self, ctx: Any) -> Any:
        """Run the command; errors that a user can fix, and Ctrl-C, end it without a traceback."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interruption:
            say(str(interruption) or "interrupted")
            raise typer.Exit(INTERRUPTED) from interruption
        except BrokenPipeError:
            raise  # the reader of the output has closed it, and click ends quietly
        except (SeglibError, OSError, MemoryError) as error:
            if os.environ.get("SEGLIB_DEBUG"):
                raise
            say(f"error: {' '.join(_reason(error).split())}")
            raise typer.Exit(FAILED) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        where = "the output" if error.filename is None else str(error.filename)
        return printable(f"{where}: {error.strerror}")
    if isinstance(error, MemoryError):
        return f"out of memory: try a smaller --size or --batch-size ({error})".removesuffix(" ()")
    return str(error)


def _flush_output() -> None:
    """Report in one line that the output could not be written, instead of Python's traceback."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        say(f"error: {_reason(error)}")
        sys.exit(FAILED)


def say(message: str) -> None:
    """Print one line to stderr."""
    print(message, file=sys.stderr, flush=True)
