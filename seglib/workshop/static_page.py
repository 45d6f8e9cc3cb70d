"""Rewrite notebooks for pages without a kernel: explorers that a script moves, or pictures."""

from __future__ import annotations

import html
import json
import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.widgets.explorer import alternative_text
from seglib.workshop.flipbooks import STATES, WIDGET, explorer_cells, flipbook_folder
from seglib.workshop.normalise import WIDGET_STATE

FRAMES = "explorers"  # the folder of the frames in the site's static files
IN_LAB = "In JupyterLab, this cell has all controls with all their values."


def show_without_kernel(notebooks: Sequence[Path], cache: Path, static: Path, up: str) -> None:
    """Rewrite notebooks in place, so that no output needs a kernel or the widgets' own script.

    Args:
        notebooks: copies, which only the site uses.
        cache: where frames are kept from one build to the next, in one folder per explorer.
        static: the site's folder of static files, to which the frames are copied.
        up: the address of this folder, as seen from the pages of the notebooks.

    Raises:
        SeglibError: a cell shows a widget that has neither a picture nor HTML.
    """
    read = {path: nbformat.read(path, 4) for path in notebooks}
    cells = [(path, cell_id) for path in notebooks for cell_id in explorer_cells(read[path])]
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # each waits for a process of its own
        folders = pool.map(lambda cell: flipbook_folder(cell[0], cell[1], cache), cells)
        drawn = dict(zip(cells, folders, strict=True))
    for folder in drawn.values():
        if folder is not None:
            shutil.copytree(folder, static / FRAMES / folder.name, dirs_exist_ok=True)
    for path, notebook in read.items():
        for cell in notebook.cells:
            for output in cell.get("outputs", []):
                _replace(output.get("data", {}), notebook, drawn.get((path, cell.id)), up)
        notebook.metadata.pop("widgets", None)
        nbformat.write(notebook, path)


def _replace(data: dict[str, Any], notebook: NotebookNode, folder: Path | None, up: str) -> None:
    """Replace a widget in the data of an output by HTML; a quiz has an HTML version already."""
    view = data.pop(WIDGET, None)
    if view is None or "text/html" in data:
        return
    if folder is not None:
        states = json.loads((folder / STATES).read_text(encoding="utf-8"))
        data["text/html"] = moving_html(states, f"{up}/{FRAMES}/{folder.name}")
    else:
        data["text/html"] = still_html(stored_picture(notebook, view["model_id"]))


def moving_html(states: dict[str, Any], address: str) -> str:
    """An explorer with the frames of `states.json` in the folder `address`.

    Without a script, the first frame is shown and the controls are hidden.
    """
    first = states["frames"][states["start"]]
    alt = alternative_text(first["words"])
    controls = [_control(dial) for dial in states["dials"]]
    shown = {key: states[key] for key in ("frames", "table", "start")}
    data = json.dumps(shown, ensure_ascii=False).replace("<", "\\u003c")
    return "\n".join(
        [
            f'<section class="explorer" data-frames="{address}" aria-label="{states["name"]}">',
            '<div class="explorer-controls" hidden>',
            *controls,
            "</div>",
            _scrolling(f'<img src="{address}/{first["file"]}" alt="{alt}">'),
            f'<p class="explorer-words" role="status">{first["words"]}</p>',
            f'<p class="explorer-note">{len(states["frames"])} states, drawn ahead. {IN_LAB}</p>',
            f'<script type="application/json" class="explorer-states">{data}</script>',
            "</section>",
        ]
    )


def _control(dial: dict[str, Any]) -> str:
    """A slider or a list with its label, and with buttons if it goes through a process."""
    plays, label = dial["plays"], html.escape(dial["label"])
    texts, start = dial["texts"], dial["start"]
    options = json.dumps(texts, ensure_ascii=False)
    if dial["slides"]:
        body = (
            f'<input type="range" min="0" max="{len(texts) - 1}" value="{start}" '
            f'aria-valuetext="{html.escape(texts[start])}" data-texts="{html.escape(options)}">'
            f"<output>{html.escape(texts[start])}</output>"
        )
    else:
        items = [
            f'<option value="{n}"{" selected" * (n == start)}>{html.escape(text)}</option>'
            for n, text in enumerate(texts)
        ]
        body = f"<select>{''.join(items)}</select>"
    control = f"<label><span>{label}</span>{body}</label>"
    return f'<div class="explorer-process">{control}{_buttons(label)}</div>' if plays else control


def _buttons(label: str) -> str:
    """Buttons to step and play; the script gives them their work."""
    looks = {
        "back": ("one step back", "‹"),
        "play": ("play", "▶\ufe0e"),  # a letter, not an emoji
        "forward": ("one step forward", "›"),
    }
    buttons = [
        f'<button type="button" class="explorer-{kind}" aria-label="{label}: {words}" '
        f'title="{words}"><span aria-hidden="true">{sign}</span></button>'
        for kind, (words, sign) in looks.items()
    ]
    return f'<span class="explorer-buttons">{"".join(buttons)}</span>'


def still_html(image: str) -> str:
    """An explorer of which only the stored picture, an <img>, can be shown."""
    note = f'<p class="explorer-note">{IN_LAB}</p>'
    return (
        f'<section class="explorer" aria-label="picture">\n{_scrolling(image)}\n{note}\n</section>'
    )


def _scrolling(image: str) -> str:
    """A picture in a box in which it scrolls on a narrow window, also by keyboard."""
    return (
        f'<div class="explorer-picture" tabindex="0" role="group" aria-label="figure">{image}</div>'
    )


def stored_picture(notebook: NotebookNode, model_id: str) -> str:
    """The picture in the saved state of an explorer, as <img>.

    Raises:
        SeglibError: there is none.
    """
    state = notebook.metadata.get("widgets", {}).get(WIDGET_STATE, {}).get("state", {})
    waiting = [model_id]
    while waiting:
        values = state.get(waiting.pop(), {}).get("state", {})
        if str(values.get("value", "")).startswith("<img "):
            return str(values["value"])
        children = values.get("children", [])
        waiting += [child.removeprefix("IPY_MODEL_") for child in children]
    raise SeglibError(f"the site cannot show widget {model_id}: it has no picture and no HTML")
