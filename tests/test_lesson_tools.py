"""The workshop: building notebooks from text, executing, normalising, and nbval with our plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

from seglib.errors import SeglibError
from seglib.workshop import build_lesson, execute, lesson_names, normalise
from seglib.workshop.execute import notebook_client, write_notebook
from seglib.workshop.nbval_plugin import difference
from seglib.workshop.normalise import notebook_text
from tests.helpers import HANG_SECONDS

SOURCE = """\
# %% [markdown] id="start"
# # 90. A lesson

# %% id="numbers" tolerance=0.02
import os
print("loss", 0.5, os.environ["SEGLIB_DATASET"], os.getcwd())

# %% id="slider"
import ipywidgets
slider = ipywidgets.IntSlider(3)
slider

# %% id="picture" alt="one pixel" tags=["hide-input"]
from IPython.display import Image, display
display(Image(data=b"\\x89PNG", format="png"))
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "90_lesson.py"
    path.write_text(SOURCE)
    return path


def test_build_keeps_ids_and_expands_alt_text(source):
    cells = build_lesson(source).cells
    assert [c.id for c in cells] == ["start", "numbers", "slider", "picture"]
    assert cells[3].metadata == {
        "mystnb": {"image": {"alt": "one pixel"}},
        "jupyter": {"source_hidden": True},
        "tags": ["hide-input"],
    }
    assert cells[1].metadata == {"tolerance": 0.02}
    assert cells[0].source == "# 90. A lesson"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# %%\nx = 1\n", "needs an id"),
        ('# %% id="Not this"\nx = 1\n', "needs an id"),
        ('# %% id="a"\nx = 1\n\n# %% id="a"\ny = 1\n', "two cells have the id 'a'"),
    ],
)
def test_build_refuses_cells_without_a_valid_id(tmp_path, text, complaint):
    path = tmp_path / "90_bad.py"
    path.write_text(text)
    with pytest.raises(SeglibError, match=complaint):
        build_lesson(path)


def test_names_resolve_by_number_and_unknown_ones_are_refused(source):
    folder = source.parent
    assert lesson_names(None, folder) == ["90_lesson"]
    assert lesson_names(["90", "90_lesson.ipynb"], folder) == ["90_lesson"]
    with pytest.raises(SeglibError, match=r"'7' matches 0 sources in .* contains 90_lesson"):
        lesson_names(["7"], folder)


def test_two_executions_give_the_same_notebook(source, tmp_path):
    texts = []
    for _ in range(2):
        notebook = execute(build_lesson(source), "90_lesson", folder=tmp_path)
        texts.append(notebook_text(notebook))
    assert texts[0] == texts[1]
    assert str(tmp_path.parent) not in texts[0]
    assert [c.execution_count for c in notebook.cells[1:]] == [1, 2, 3]
    assert notebook.metadata.seglib.dataset == "pocket"
    view = notebook.cells[2].outputs[0].data["application/vnd.jupyter.widget-view+json"]
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"].state
    assert state[view.model_id]["model_name"] == "IntSliderModel"
    assert write_notebook(notebook, tmp_path / "out.ipynb")
    assert not write_notebook(notebook, tmp_path / "out.ipynb")


def test_a_failing_cell_is_named(tmp_path):
    path = tmp_path / "90_bad.py"
    path.write_text('# %% id="boom"\nraise ValueError("broken on purpose")\n')
    with pytest.raises(SeglibError, match=r"90_bad failed in cell 'boom'[\s\S]*on purpose"):
        execute(build_lesson(path), "90_bad", folder=tmp_path)


def test_normalise_replaces_a_folder_but_not_one_whose_name_begins_alike(tmp_path):
    cell = nbformat.v4.new_code_cell("x", id="x")
    text = f"{tmp_path}/a.png {tmp_path}2/b.png"
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    clean = normalise(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert clean.cells[0].outputs[0].text == f"./a.png {tmp_path}2/b.png"


# The first cell that needs images which have not been drawn yet.
DRAWING = """import tempfile
from seglib.data.pocket import write_split
with tempfile.TemporaryDirectory() as folder:
    write_split(folder, "train", 3, seed=1)
print("3 images")"""


def test_a_cell_that_draws_images_says_so_and_has_the_outputs_of_one_that_does_not(tmp_path):
    path = tmp_path / "90_drawing.py"
    path.write_text(f'# %% id="draws"\n{DRAWING}\n')
    notebook = build_lesson(path)
    notebook_client(notebook, tmp_path).execute()
    told, printed = notebook.cells[0].outputs
    assert (told.name, printed.name) == ("stderr", "stdout")
    assert told.text.startswith("Drawing Pocket COCO's 3 train images, once")
    (left,) = normalise(notebook, tmp_path).cells[0].outputs
    assert left.text == "3 images\n"


def test_only_reports_of_a_drawing_are_removed_from_standard_error(tmp_path):
    cell = nbformat.v4.new_code_cell("x", id="x")
    text = "Drawing Pocket COCO: 25 of 50, about 1 s left\nwarning: Drawing Pocket COCO failed\n"
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr", text=text)]
    clean = normalise(nbformat.v4.new_notebook(cells=[cell]), tmp_path)
    assert clean.cells[0].outputs[0].text == "warning: Drawing Pocket COCO failed\n"


@pytest.mark.parametrize(
    ("now", "stored", "same"),
    [
        ("loss 0.51", "loss 0.50", True),
        ("loss 0.60", "loss 0.50", False),
        ("loss 1010", "loss 1000", True),
        ("1e-3 of conv2d", "2e-3 of conv2d", True),
        ("conv3d 1.0", "conv2d 1.0", False),
        ("loss 0.5", "miss 0.5", False),
        ("0.5", "0.5 0.5", False),
        ("-0.50", "0.50", False),
    ],
)
def test_numbers_are_compared_within_the_tolerance_and_words_exactly(now, stored, same):
    assert (difference(now, stored, 0.02) is None) == same


def _notebook(path: Path, *cells: tuple[str, str, dict]) -> None:
    """Write a notebook; cells are (source, stored standard output, metadata)."""
    notebook = nbformat.v4.new_notebook()
    for number, (code, printed, metadata) in enumerate(cells, 1):
        outputs = [nbformat.v4.new_output("stream", name="stdout", text=printed)] if printed else []
        notebook.cells.append(
            nbformat.v4.new_code_cell(
                code, outputs=outputs, metadata=metadata, execution_count=number
            )
        )
    nbformat.write(notebook, path)


# With the last three the cell could not fail.
REFUSED_TOLERANCES = {
    "worded": "small", "listed": [1], "missing": None, "negative": -1.0, "yes": True,
    "infinite": float("inf"), "undefined": float("nan"), "large": 5.0,
}  # fmt: skip


def test_nbval_fails_where_it_must(tmp_path):
    near = {"tolerance": 0.02}
    exact = {"tags": ["nbval-check-output"]}
    _notebook(tmp_path / "good.ipynb", ("print(0.501)", "0.500\n", near), ("1", "", {}))
    _notebook(tmp_path / "drawing.ipynb", (DRAWING, "3 images\n", exact))
    _notebook(tmp_path / "number.ipynb", ("print(0.6)", "0.5\n", near), ("1", "", {}))
    _notebook(tmp_path / "text.ipynb", ("print('a')", "b\n", exact))
    _notebook(tmp_path / "dead.ipynb", ("import os; os._exit(1)", "", {}), ("1", "", {}))
    _notebook(tmp_path / "error.ipynb", ("1 / 0", "", {}), ("1", "", {}))
    for name, tolerance in REFUSED_TOLERANCES.items():
        cell = ("print(0.6)", "0.5\n", {"tolerance": tolerance})
        _notebook(tmp_path / f"{name}.ipynb", cell)
    _notebook(tmp_path / "stripped.ipynb", ("print(1)", "", {}))
    stripped = nbformat.read(tmp_path / "stripped.ipynb", 4)
    stripped.cells[0].execution_count = None
    nbformat.write(stripped, tmp_path / "stripped.ipynb")

    outcome = _run_nbval(tmp_path)
    assert outcome == {
        "dead": ["failure", "skipped"],
        "drawing": ["passed"],
        "error": ["failure", "skipped"],
        "good": ["passed", "passed"],
        "number": ["failure", "skipped"],
        "stripped": ["failure"],
        "text": ["failure"],
        **{name: ["failure"] for name in REFUSED_TOLERANCES},
    }


def _run_nbval(folder: Path) -> dict[str, list[str]]:
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", "seglib.workshop.nbval_plugin", "--nbval-lax"]
    command += ["--nbval-current-env", "--junitxml", str(report), "-o", "addopts=", str(folder)]
    run = subprocess.run(
        command,
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    outcome: dict[str, list[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        name = case.get("classname", "").removesuffix(".ipynb").split(".")[-1]
        state = next((child.tag for child in case if child.tag != "system-out"), "passed")
        outcome.setdefault(name, []).append(state)
    return outcome


@pytest.mark.parametrize("kind", ["latin1", "folder", "binary"])
def test_an_unreadable_source_is_refused_by_name(kind, tmp_path):
    source = tmp_path / "01_source.py"
    if kind == "folder":
        source.mkdir()
    else:
        source.write_bytes(
            '# %% id="a"\n# caf\xe9'.encode("latin1") if kind == "latin1" else b"\xff\x00"
        )
    with pytest.raises(SeglibError, match=r"01_source\.py"):
        build_lesson(source)
