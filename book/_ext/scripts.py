"""Load each script once: Jupyter Book adds every file of _static to every page, MathJax too."""

from __future__ import annotations

from typing import Any


def keep_configured(app: Any, config: Any) -> None:
    """Sphinx's hook: keep the scripts that _config.yml lists with their attributes."""
    config.html_js_files = [entry for entry in config.html_js_files if not isinstance(entry, str)]


def setup(app: Any) -> dict[str, bool]:
    """Register the hook with Sphinx, before it reads the list."""
    app.connect("config-inited", keep_configured, priority=100)
    return {"parallel_read_safe": True}
