"""Let autodoc show the library's docstrings, which are plain text, as they are written.

`word` becomes code, asterisks and bars are kept, and an indented sketch keeps its lines.
"""

from __future__ import annotations

import re
from typing import Any

CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
SECTION = re.compile(
    r"(Args|Returns|Yields|Raises|Attributes|Note|Example|Examples|Arguments|Parameters):$"
)

# Stands for a colon in the first line of a property, which napoleon would read as "type: text".
COLON = "\ue000"


def escape(line: str) -> str:
    """Escape what reStructuredText would treat as markup, except in code."""
    parts = CODE.split(line)
    for index in range(0, len(parts), 2):
        parts[index] = re.sub(r"([*|\\]|(?<=\w)_(?=\W|$)|`)", r"\\\1", parts[index])
    for index in range(1, len(parts), 2):
        parts[index] = f"``{parts[index].strip()}``"
    return "".join(parts)


def literal_blocks(lines: list[str]) -> list[str]:
    """Mark each indented block outside sections as literal, and escape everything else."""
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
    """autodoc's hook: rewrite the lines of a docstring in place, before napoleon reads them."""
    lines[:] = literal_blocks(lines)
    if what in ("attribute", "data", "property") and lines:
        lines[0] = lines[0].replace(":", COLON)


def restore(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """autodoc's hook: put back the colons, after napoleon has read the lines."""
    lines[:] = [line.replace(COLON, ":") for line in lines]


def setup(app: Any) -> dict[str, bool]:
    """Register the hooks with Sphinx, before and after napoleon's."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("autodoc-process-docstring", restore, priority=900)
    return {"parallel_read_safe": True}
