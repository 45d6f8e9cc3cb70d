"""Leave out the role "list" of the bibliography: its entries contain what a list must not."""

from __future__ import annotations

from typing import Any

ROLE = '<div role="list" class="citation-list">'


def without_role(app: Any, page: str, template: str, context: dict[str, Any], _: Any) -> None:
    """Sphinx's hook: change the HTML of a page before it is written."""
    if ROLE in context.get("body", ""):
        context["body"] = context["body"].replace(ROLE, '<div class="citation-list">')


def setup(app: Any) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("html-page-context", without_role)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
