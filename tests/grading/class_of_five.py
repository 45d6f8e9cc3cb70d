"""Submissions of assignment 10 as students hand them in: right, partly right, wrong, and worse."""

from __future__ import annotations

import re

import nbformat

from seglib.workshop.assignments import read_master, student_version
from tests.assignments import trying

NAME = "10_solo"
HOSTILE = """
import torch
torch.allclose = torch.equal = lambda *arguments, **options: True
def assign(*arguments):
    return open("/etc/passwd").read()
"""
MARKERS = re.compile(r"^ *### (BEGIN|END) SOLUTION\n?", re.MULTILINE)


def submissions() -> dict[str, str]:
    """The text of each student's file, by name."""
    master = read_master(trying.MASTERS / f"{NAME}.py")
    cells = {c.id: c.source for c in master.cells if c.metadata.get("nbgrader", {}).get("solution")}
    right = {name: MARKERS.sub("", source) for name, source in cells.items()}
    faults = trying.wrong_solutions(NAME)
    wrong = {
        name: source.replace(*next(iter(faults[name].values()))) for name, source in right.items()
    }
    answers = {
        "reference": right,
        "partly": {**right, "matrix": wrong["matrix"]},
        "wrong": wrong,
        "hostile": {"assign": HOSTILE, "matrix": "import os\nos._exit(0)"},
    }
    texts = {}
    for student, answer in answers.items():
        notebook = student_version(master)
        for cell in notebook.cells:
            cell.source = answer.get(cell.id, cell.source)
        texts[student] = nbformat.writes(notebook)
    return {**texts, "broken": texts["reference"][:4000]}
