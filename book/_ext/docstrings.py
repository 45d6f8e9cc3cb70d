"""Let autodoc read the library's docstrings, which are plain text for people, as they are.

`word` becomes code, stars and bars stay what they are, and a sketch indented below a
paragraph keeps its lines.
"""

from __future__ import annotations

import re
from typing import Any

CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SECTION = re.compile(
    r"(Args|Returns|Yields|Raises|Attributes|Note|Example|Examples|Arguments|Parameters):$"
)


def escape(line: str) -> str:
    """Escape what reStructuredText would read as markup, outside of code."""
    parts = CODE.split(line)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"([*|\\]|(?<=\w)_(?=\W|$)|`)", r"\\\1", parts[index])
    for index in range(1, len(parts), 2):
        parts[index] = f"``{parts[index].strip()}``"
    return "".join(parts)


def literal_blocks(lines: list[str]) -> list[str]:
    """Mark each indented block of running text as literal, and escape everything else."""
    out: list[str] = []
    section = block = False
    for line in lines:
        indented = line.startswith("  ")
        if line.strip() and not indented:
            section, block = bool(SECTION.match(line.strip())), False
        if indented and not section and not block:
            block = True
            out += ["", "::", ""]
        if line.strip() == "" and not block:
            out.append("")
        else:
            out.append(line if block else escape(line))
            if block and not line.strip():
                out[-1] = ""
    return out


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's hook: rewrite a docstring's lines in place, before napoleon sees them."""
    lines[:] = literal_blocks(lines)


def setup(app: Any) -> dict[str, bool]:
    """Register with Sphinx, ahead of napoleon."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True}
