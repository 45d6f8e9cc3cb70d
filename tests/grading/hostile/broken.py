"""Files that are not the notebook that they should be.

Each entry makes the content of a file out of the reference's notebook (a dictionary), and says
what the grader must say of it: a part of its line, or of its notes if it is marked nevertheless.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

Notebook = dict[str, Any]


def changed(change: Callable[[Notebook], object]) -> Callable[[Notebook], bytes]:
    """The notebook after a change of a copy of it."""

    def make(notebook: Notebook) -> bytes:
        notebook = copy.deepcopy(notebook)
        change(notebook)
        return json.dumps(notebook).encode("utf-8", "surrogatepass")

    return make


def cell(notebook: Notebook, cell_id: str) -> dict[str, Any]:
    """A cell by its id."""
    return next(each for each in notebook["cells"] if each["id"] == cell_id)


def wrong(notebook: Notebook) -> dict[str, Any]:
    """The cell of `area`, with an answer that is wrong for all but the example."""
    found = cell(notebook, "area")
    found["source"] = "def area(box):\n    return torch.tensor(12.0)"
    return found


def without_checks(notebook: Notebook) -> None:
    wrong(notebook)
    notebook["cells"] = [each for each in notebook["cells"] if "checks" not in each["id"]]


def edited_checks(notebook: Notebook) -> None:
    wrong(notebook)
    cell(notebook, "area-checks")["source"] = "print('✓ 2 of 2 points')"


def forged_outputs(notebook: Notebook) -> None:
    wrong(notebook)
    stream = {"output_type": "stream", "name": "stdout", "text": "✓ 2 of 2 points"}
    cell(notebook, "area-checks") | {"outputs": [stream], "execution_count": 1}


def more_points(notebook: Notebook) -> None:
    wrong(notebook)
    cell(notebook, "area-checks")["metadata"]["nbgrader"] |= {"points": 1000, "grade": True}


def tagged(*tags: str) -> Callable[[Notebook], None]:
    def change(notebook: Notebook) -> None:
        wrong(notebook)
        for each in notebook["cells"]:
            each["metadata"]["tags"] = list(tags)

    return change


def commented(comment: str) -> Callable[[Notebook], None]:
    def change(notebook: Notebook) -> None:
        found = wrong(notebook)
        found["source"] = f"# {comment}\n{found['source']}"

    return change


def own_checks(notebook: Notebook) -> None:
    wrong(notebook)
    extra = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": 1}
    notebook["cells"].append(extra | {"id": "mine", "source": "def area(box): return 12"})


def second_cell(notebook: Notebook) -> None:
    wrong(notebook)
    right = {"cell_type": "code", "metadata": {}, "id": "area", "source": "x = 1"}
    notebook["cells"].insert(0, right)


def without_ids(notebook: Notebook) -> None:
    wrong(notebook)
    for each in notebook["cells"]:
        each.pop("id")
        each["metadata"] = {}


def similar_ids(notebook: Notebook) -> None:
    wrong(notebook)["id"] = "аrea"  # the first letter is Cyrillic
    for each in notebook["cells"]:
        each["metadata"] = {}


def odd_sources(notebook: Notebook) -> None:
    wrong(notebook)["source"] = ["def area(box):", 3, None, "\ud800\x00"]


def odd_cells(notebook: Notebook) -> None:
    wrong(notebook)
    odd = [None, 3, [], {"cell_type": "code", "metadata": [], "id": 3, "source": {}}]
    notebook["cells"] = [*odd, *notebook["cells"]]


def widget_state(notebook: Notebook) -> None:
    wrong(notebook)
    state = {str(n): {"state": {"value": "x" * 1000}} for n in range(5000)}
    notebook["metadata"]["widgets"] = {"application/vnd.jupyter.widget-state+json": state}


def huge_outputs(notebook: Notebook) -> None:
    stream = {"output_type": "stream", "name": "stdout", "text": "x" * (21 * 2**20)}
    wrong(notebook)["outputs"] = [stream]


def other_assignment(notebook: Notebook) -> None:
    for each in notebook["cells"]:
        each["id"] = f"other-{each['id']}"
        each["source"] = "def other(): pass"
        each["metadata"] = {}


def many_cells(notebook: Notebook) -> None:
    notebook["cells"] += [{"cell_type": "raw"}] * 5000


NOTEBOOKS: dict[str, tuple[Callable[[Notebook], bytes], str]] = {
    "checks removed": (changed(without_checks), ""),
    "checks edited": (changed(edited_checks), ""),
    "outputs forged": (changed(forged_outputs), ""),
    "points raised": (changed(more_points), ""),
    "tags of nbval": (changed(tagged("raises-exception", "nbval-skip")), ""),
    "a comment that skips": (changed(commented("NBVAL_SKIP")), ""),
    "a comment that expects errors": (changed(commented("NBVAL_RAISES_EXCEPTION")), ""),
    "a cell of its own": (changed(own_checks), "cells of your own were not run"),
    "two cells with one id": (changed(second_cell), "Several cells have the id"),
    "no ids": (changed(without_ids), "No cell has the id"),
    "ids that only look alike": (changed(similar_ids), "No cell has the id 'area'"),
    "sources that are not text": (changed(odd_sources), ""),
    "cells that are not cells": (changed(odd_cells), ""),
    "widget state": (changed(widget_state), ""),
    "huge outputs": (changed(huge_outputs), "larger than"),
    "another assignment": (changed(other_assignment), "none of the answer cells"),
    "thousands of cells": (changed(many_cells), "more than"),
    "format 3": (lambda _n: b'{"nbformat": 3, "worksheets": []}', "format 4"),
    "cells that are a dictionary": (lambda _n: b'{"nbformat": 4, "cells": {}}', "format 4"),
    "not JSON": (lambda _n: b"print('hello')", "not JSON"),
    "empty": (lambda _n: b"", "not JSON"),
    "cut off": (lambda n: json.dumps(n).encode()[:500], "not JSON"),
    "binary": (lambda _n: bytes(range(256)), "not JSON"),
    "deep nesting": (lambda _n: b"[" * 1_000_000, "not JSON"),
    "a byte order mark": (lambda n: b"\xef\xbb\xbf" + json.dumps(n).encode()[:-1], "not JSON"),
}
