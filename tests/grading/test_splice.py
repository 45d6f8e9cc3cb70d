"""Of a submission only the answers are used."""

from __future__ import annotations

import json

import nbformat
import pytest

from seglib.errors import SeglibError
from seglib.grading.splice import forbidden_calls, read_answers, splice, tools_of
from seglib.workshop.assignments import read_master, student_version
from tests.helpers import ROOT

MASTER = read_master(ROOT / "tests" / "assignments_example" / "90_example.py")
ANSWERS = [c.id for c in MASTER.cells if c.metadata.get("nbgrader", {}).get("solution")]


def submission():
    return json.loads(nbformat.writes(student_version(MASTER)))


def read(notebook):
    return read_answers(json.dumps(notebook).encode(), MASTER)


def answer(notebook, number=0):
    return next(c for c in notebook["cells"] if c.get("id") == ANSWERS[number])


def test_answers_are_found_by_id():
    notebook = submission()
    answer(notebook)["source"] = ["x = 1\n", "y = 2"]
    answers = read(notebook)
    assert list(answers.sources) == ANSWERS
    assert answers.sources[ANSWERS[0]] == "x = 1\ny = 2"
    assert answers.notes == []


def test_answers_without_an_id_are_found_by_the_functions_they_define():
    notebook = submission()
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"] = {}
    answers = read(notebook)
    assert list(answers.sources) == ANSWERS
    assert all("any more" in note for note in answers.notes if "cells of your own" not in note)
    assert len(answers.notes) >= len(ANSWERS)


def test_nbgraders_ids_count_too():
    notebook = submission()
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"new-{number}"
    assert read(notebook).notes == []


def test_of_two_cells_with_one_id_the_complete_one_counts():
    notebook = submission()
    notebook["cells"].insert(0, {**answer(notebook), "source": "pass"})
    answers = read(notebook)
    assert answers.sources[ANSWERS[0]] != "pass"
    assert "Several cells" in answers.notes[0]


def test_other_cells_tags_and_outputs_are_left_behind():
    notebook = submission()
    answer(notebook)["metadata"]["tags"] = ["raises-exception", "nbval-skip"]
    answer(notebook)["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "forged"}]
    own = {"cell_type": "code", "id": "own", "metadata": {}, "source": "evil()", "outputs": []}
    notebook["cells"].append(own)
    answers = read(notebook)
    assert "1 code cells of your own were not run" in answers.notes[0]
    text = splice(MASTER, answers, 10, 60)
    assert not any(word in text for word in ("evil", "forged", "raises-exception", "nbval-skip"))
    cells = json.loads(text)["cells"]
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))


def test_checks_and_solutions_are_absent():
    text = splice(MASTER, read(submission()), 10, 60)
    for word in ("assert ", "HIDDEN", "BEGIN SOLUTION", "expected"):
        assert word not in text


def test_only_imports_and_functions_of_visible_checks_are_given():
    source = "import math\nx = 3\ndef g(): return 1\nassert x == 3, 'secret'\n"
    source += "### BEGIN HIDDEN TESTS\ndef h(): return 'secret'\n### END HIDDEN TESTS"
    assert tools_of(source) == "import math\n\ndef g():\n    return 1"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "format 4"),
        (b'{"worksheets": [], "nbformat": 3}', "format 4"),
        (b'{"cells": {}}', "format 4"),
        (b'{"cells": []}', "none of the answer cells"),
        (b'{"cells": [3, null, {"cell_type": "code"}]}', "none of the answer cells"),
        (b'{"cells": [' + b"0," * 3000 + b"0]}", "more than"),
        (b" " * (21 * 2**20), "larger"),
    ],
)
def test_what_is_not_a_notebook_of_the_assignment_is_refused(data, reason):
    with pytest.raises(SeglibError, match=reason):
        read_answers(data, MASTER)


def test_forbidden_calls_are_declared_on_the_answer_cell():
    master = read_master(ROOT / "tests" / "assignments_example" / "90_example.py")
    cell = next(c for c in master.cells if c.id == ANSWERS[0])
    cell.metadata["forbidden"] = "torch.conv2d nms"
    (names,) = forbidden_calls(master).values()
    assert names == "torch.conv2d nms"
