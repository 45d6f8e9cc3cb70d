"""Remove from an executed notebook what changes from one run to the next.

Numbers, text and pictures stay. Widget models, whose ids are random, are renumbered in the
order in which they were created. Timestamps, kernel versions and the folders of this machine
are removed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from seglib.workshop.build import KERNELSPEC, LANGUAGE

WIDGET_STATE = "application/vnd.jupyter.widget-state+json"


def normalise(notebook: NotebookNode, root: Path) -> NotebookNode:
    """A copy of an executed notebook that a second run reproduces byte for byte.

    Args:
        notebook: executed, with outputs and widget state.
        root: the folder whose path must not appear in outputs; it becomes `.`.
    """
    metadata = {k: v for k, v in notebook.metadata.items() if k in ("seglib", "widgets")}
    metadata |= {"kernelspec": KERNELSPEC, "language_info": LANGUAGE}
    text = json.dumps({**notebook, "metadata": metadata})
    for number, model_id in enumerate(_widget_ids(notebook)):
        text = text.replace(model_id, f"{number:032x}")
    for folder, short in ((str(root), "."), (str(Path.home()), "~")):
        if len(folder) > 1:
            escaped = json.dumps(folder)[1:-1]
            text = re.sub(re.escape(escaped) + r"(?![\w.-])", short, text)
    clean: NotebookNode = nbformat.from_dict(json.loads(text))
    for cell in clean.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            for output in cell.outputs:
                output.pop("transient", None)
    return clean


def _widget_ids(notebook: NotebookNode) -> list[str]:
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return list(state)


def notebook_text(notebook: NotebookNode) -> str:
    """The JSON text of a notebook as it is committed."""
    text: str = nbformat.writes(notebook, version=4)
    return text.rstrip("\n") + "\n"
