"""Every assignment can be solved, its stub passes no check, and its checks say what is wrong."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.grading.splice import HIDDEN
from seglib.workshop.assignments import build, leaked_lines, read_master, student_version
from seglib.workshop.checks import run_checks
from seglib.workshop.execute import write_notebook
from seglib.workshop.normalise import notebook_text
from tests.helpers import ROOT

LESSONS = ROOT / "lessons"
EXAMPLE = ROOT / "tests" / "assignments_example" / "90_example.py"
MASTERS = sorted((LESSONS / "source" / "assignments").glob("[0-9]*.py"))
HIDDEN_PROPERTIES = 3  # of each task
LINE_BELOW_A_HEADING = (
    r"^## Task .*\n\n"
    r"\*(\d+) points · difficulty (\d/5) · importance (\d/5) · (\d+) minutes\*$"
)
HINT = re.compile(r"^<details><summary>(.*?)</summary>\n(.*?)\n</details>$", re.M | re.S)
LADDER = """**Transfer.** No cell of the lesson does this.

<details><summary>First hint</summary>
Look at <code>x</code> first, and then at y.
</details>
<details><summary>Second hint</summary>
The sum of both is smaller than you may think.
</details>"""


def named(masters: list[Path]) -> list:
    return [pytest.param(master, id=master.stem) for master in masters]


@pytest.mark.parametrize("master", named([*MASTERS, EXAMPLE]))
def test_the_solution_passes_every_check_and_the_stub_none(master):
    notebook = read_master(master)
    failed = [r for r in run_checks(notebook) if r.error]
    assert not failed, f"the solution of {master.stem} fails: {failed}"
    results = run_checks(student_version(notebook, keep_hidden=True))
    passed = [result.grade_id for result in results if not result.error]
    assert len(results) >= 2
    assert not passed, f"the stub of {master.stem} passes {passed}"


@pytest.mark.parametrize("master", named([*MASTERS, EXAMPLE]))
def test_every_visible_check_fails_on_the_stub(master):
    notebook = student_version(read_master(master))
    visible = {cell.id for cell in notebook.cells if asserts(cell)}
    passed = [r.grade_id for r in run_checks(notebook) if r.grade_id in visible and not r.error]
    assert not passed, f"without hidden checks the stub of {master.stem} passes {passed}"


@pytest.mark.parametrize("master", named([*MASTERS, EXAMPLE]))
def test_checks_say_what_is_wrong_and_students_see_no_solution(master):
    notebook = student_version(read_master(master))
    silent = [c.id for c in notebook.cells for call in asserts(c) if not has_message(call)]
    assert not silent, f"checks of {master.stem} without a message: {silent}"
    text = notebook_text(notebook)
    for marker in ("BEGIN SOLUTION", "HIDDEN TESTS"):
        assert marker not in text
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        if cell.metadata.get("nbgrader", {}).get("grade"):
            assert cell.metadata["editable"] is False
            assert cell.metadata["nbgrader"]["checksum"]


@pytest.mark.parametrize("master", named(MASTERS))
def test_the_table_of_points_adds_up_to_what_the_checks_give(master):
    text = master.read_text(encoding="utf-8")
    announced = re.findall(r"^# \| \d+\. .*? \| (\d+) \|", text, re.MULTILINE)
    given = re.findall(r'nbgrader="checks" points=(\d+)', text)
    assert len(announced) > 1
    assert sum(map(int, announced)) == sum(map(int, given))


@pytest.mark.parametrize("master", named(MASTERS))
def test_every_task_repeats_its_row_of_the_table(master):
    first, *others = texts_of(master)
    rows = re.findall(r"^\| \d+\. .*? \| (\d+) \| (\d/5) \| (\d/5) \| (\d+) \|$", first, re.M)
    lines = re.findall(LINE_BELOW_A_HEADING, "\n".join(others), re.M)
    assert lines == rows
    assert len(rows) == "\n".join(others).count("## Task ")


@pytest.mark.parametrize("master", named(MASTERS))
def test_one_task_is_a_transfer_with_a_ladder_of_two_hints(master):
    texts = [text for text in texts_of(master) if re.search(r"^\*\*Transfer\.\*\* ", text, re.M)]
    assert texts, f"no task of {master.stem} has a paragraph that begins with **Transfer.**"
    for text in texts:
        assert ladder_faults(text) == []


@pytest.mark.parametrize("master", named(MASTERS))
def test_every_task_has_a_ladder_of_hints_and_three_hidden_properties(master):
    for title, cells in tasks_of(master).items():
        texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        assert any(ladder_faults(text) == [] for text in texts), f"{title}: no ladder of two hints"
        for text in texts:
            assert "<details>" not in text or text.rstrip().endswith("</details>")
        assert any("### BEGIN SOLUTION" in cell.source for cell in cells), f"{title}: no solution"
        checks = [cell for cell in cells if asserts(cell)]
        hidden = sum(len(asserts(cell)) - visible_asserts(cell) for cell in checks)
        assert hidden >= HIDDEN_PROPERTIES, f"{title}: {hidden} hidden assertions"
        for cell in checks:  # one without a hidden part is run again with fresh seeds
            again = "HIDDEN TESTS" in cell.source or "manual_seed" in cell.source
            assert again, f"{master.stem}, {cell.id}: it has only one input"


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("Second", "First", "it ends with the hints ['First hint', 'First hint']"),
        ("</details>\n<details>", "</details>\n\nMore text.\n\n<details>", "['Second hint']"),
        ("</details>\n<details>", "", "with the hints ['First hint']"),
        ("Look at <code>x</code>", "Look at `x`", "'`' is Markdown or a formula"),
        ("Look at <code>x</code>", "Look at $x$", "'$' is Markdown or a formula"),
        ("Look at <code>x</code> first, and then at y.", "Look.", "says too little"),
    ],
)
def test_ladders_of_another_form_are_refused(old, new, fault):
    assert ladder_faults(LADDER) == []
    assert old in LADDER
    assert fault in " · ".join(ladder_faults(LADDER.replace(old, new)))


@pytest.mark.parametrize("master", named(MASTERS))
def test_the_committed_notebook_is_built_from_its_master(master):
    path = LESSONS / "assignments" / f"{master.stem}.ipynb"
    assert path.exists(), f"{path.name} is missing: run `seglib assignments build`"
    assert path.read_text("utf-8") == notebook_text(student_version(read_master(master)))


def texts_of(master: Path) -> list[str]:
    """The text cells of a master."""
    return [cell.source for cell in read_master(master).cells if cell.cell_type == "markdown"]


def tasks_of(master: Path) -> dict[str, list[NotebookNode]]:
    """The cells of each task, by its title."""
    tasks: dict[str, list[NotebookNode]] = {}
    for cell in read_master(master).cells:
        if heading := re.match(r"## (Task \d+: .*)", cell.source):
            tasks[heading[1]] = []
        if tasks:
            list(tasks.values())[-1].append(cell)
    return tasks


def visible_asserts(cell: NotebookNode) -> int:
    """The number of assertions of a graded cell that students see."""
    return len(asserts(NotebookNode(cell, source=HIDDEN.sub("", cell.source))))


def ladder_faults(text: str) -> list[str]:
    """What is wrong with the two hints at the end of a task's text."""
    ending = re.search(r"(?:^<details>(?:(?!\n\n).)*</details>\n?)+\Z", text, re.M | re.S)
    hints = re.findall(HINT, ending[0] if ending else "")
    titles = [title for title, _ in hints]
    faults = []
    if titles != ["First hint", "Second hint"]:
        faults.append(f"it ends with the hints {titles}, not with First hint and Second hint")
    for title, hint in hints:
        if len(hint.split()) < 8:
            faults.append(f"{title} says too little: {hint!r}")
        if mark := re.search(r"[`$]|\*\*", hint):
            faults.append(f"{title}: {mark[0]!r} is Markdown or a formula, and this is HTML")
    return faults


def asserts(cell: NotebookNode) -> list[ast.AST]:
    """The assertions of a graded cell: `assert` statements, calls of assert_close and similar."""
    if not cell.metadata.get("nbgrader", {}).get("grade"):
        return []
    found = []
    for node in ast.walk(ast.parse(cell.source)):
        name = getattr(getattr(node, "func", None), "attr", "")
        if isinstance(node, ast.Assert) or name.startswith("assert_"):
            found.append(node)
    return found


def has_message(node: ast.AST) -> bool:
    if isinstance(node, ast.Assert):
        return node.msg is not None
    return any(k.arg in ("msg", "err_msg") for k in getattr(node, "keywords", []))


def test_the_student_notebook_of_the_example():
    notebook = student_version(read_master(EXAMPLE))
    cells = {cell.id: cell for cell in notebook.cells}
    assert cells["area"].source.endswith("# YOUR CODE HERE\n    raise NotImplementedError()")
    assert cells["area-checks"].source.count("assert") == 1
    role = cells["area-checks"].metadata["nbgrader"]
    assert (role["points"], role["schema_version"]) == (2, 3)
    assert (role["grade"], role["locked"], role["solution"]) == (True, True, False)
    assert cells["imports"].metadata["editable"] is False
    assert cells["area"].metadata["deletable"] is False


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('nbgrader="checks" points=2', 'nbgrader="checks"', "needs points=N"),
        ('nbgrader="locked"', 'nbgrader="frozen"', "nbgrader='frozen': choose one of solution,"),
        ('nbgrader="checks" points=1', "", "'centre-checks' has the markers .* needs none"),
    ],
)
def test_malformed_masters_are_refused(tmp_path, old, new, complaint):
    master = tmp_path / "90_example.py"
    master.write_text(EXAMPLE.read_text("utf-8").replace(old, new))
    with pytest.raises(SeglibError, match=complaint):
        read_master(master)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("    ### END SOLUTION\n", "", "needs '### BEGIN SOLUTION' before '### END SOLUTION'"),
        ("    ### BEGIN SOLUTION\n", "", "has the markers '### END SOLUTION'; it needs"),
        ("### BEGIN HIDDEN TESTS\n", "", "has the markers '### END HIDDEN TESTS'; it needs"),
        ("### END HIDDEN TESTS\n", "", "has the markers '### BEGIN HIDDEN TESTS'; it needs"),
        ("### BEGIN HIDDEN TESTS", "### BEGIN HIDEN TESTS", "write '### BEGIN HIDDEN TESTS'"),
        ("### BEGIN HIDDEN TESTS", "## BEGIN HIDDEN TESTS", "write '### BEGIN HIDDEN TESTS'"),
        ("### BEGIN HIDDEN TESTS", "###BEGIN HIDDEN TEST", "write '### BEGIN HIDDEN TESTS'"),
        ("### BEGIN HIDDEN TESTS", "### Begin hidden tests", "write '### BEGIN HIDDEN TESTS'"),
        ("### BEGIN SOLUTION", "# BEGIN SOLUTIONS", "write '### BEGIN SOLUTION'"),
        ("### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS", "needs '### BEGIN SOLUTION'"),
        ('nbgrader="solution"', "", "it needs none"),
        ('nbgrader="solution"', 'nbgrader="locked"', "it needs none"),
        ('nbgrader="checks" points=2', 'nbgrader=["checks"] points=2', "choose one of solution"),
        ("points=2", "points=true", "needs points=N"),
    ],
)
def test_masters_that_would_reveal_hidden_lines_are_refused(tmp_path, old, new, complaint):
    master = tmp_path / "90_example.py"
    text = EXAMPLE.read_text("utf-8")
    assert old in text
    master.write_text(text.replace(old, new, 1))
    with pytest.raises(SeglibError, match=re.escape(complaint)):
        read_master(master)


def test_an_assignment_with_one_task_is_refused(tmp_path):
    master = tmp_path / "90_example.py"
    text = EXAMPLE.read_text("utf-8")
    master.write_text(text[: text.index('# %% [markdown] id="centre-text"')])
    with pytest.raises(SeglibError, match="1 solution cells and 1 checks cells"):
        read_master(master)


@pytest.mark.parametrize("master", named([*MASTERS, EXAMPLE]))
def test_no_student_notebook_contains_a_hidden_line(master):
    notebook = read_master(master)
    assert leaked_lines(notebook, student_version(notebook)) == []
    assert leaked_lines(notebook, student_version(notebook, keep_hidden=True)) != []
    assert leaked_lines(notebook, notebook) != []


def test_build_does_not_touch_notebooks_that_are_up_to_date(tmp_path):
    notebook = student_version(read_master(EXAMPLE))
    assert write_notebook(notebook, tmp_path / "a.ipynb")
    assert not write_notebook(student_version(read_master(EXAMPLE)), tmp_path / "a.ipynb")
    nbformat.validate(nbformat.read(tmp_path / "a.ipynb", 4))
    with pytest.raises(SeglibError, match="matches 0 sources"):
        build(["77"])
