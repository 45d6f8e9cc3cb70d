"""Remove from an executed notebook what changes from one run to the next.

Numbers, text and pictures stay. Widget models, whose ids are random, are renumbered in the
order in which they were created. Timestamps, kernel versions, the folders of this machine and
the reports of Pocket COCO's drawing are removed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from seglib.data.pocket.drawing_bar import without_notices
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
            cell.outputs = [output for output in map(_clean, cell.outputs) if output]
    return clean


def _clean(output: NotebookNode) -> NotebookNode | None:
    """An output without what one run adds; None if nothing is left of it."""
    output.pop("transient", None)
    if output.output_type == "stream" and output.name == "stderr":
        output.text = without_notices(output.text)
        return output if output.text else None
    return output


def _widget_ids(notebook: NotebookNode) -> list[str]:
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    return list(state)


def notebook_text(notebook: NotebookNode) -> str:
    """The JSON text of a notebook as it is committed."""
    text: str = nbformat.writes(notebook, version=4)
    return text.rstrip("\n") + "\n"
