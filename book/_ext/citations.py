"""Leave out roles that accessibility checkers reject in the bibliography.

Its list contains what a list must not, and the role of an entry is deprecated.
"""

from __future__ import annotations

from typing import Any

ROLES = {
    '<div role="list" class="citation-list">': '<div class="citation-list">',
    ' role="doc-biblioentry"': "",
}


def without_roles(app: Any, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Sphinx's hook: change the HTML of a page before it is written."""
    for found, wanted in ROLES.items():
        context["body"] = context.get("body", "").replace(found, wanted)


def setup(app: Any) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("html-page-context", without_roles)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
