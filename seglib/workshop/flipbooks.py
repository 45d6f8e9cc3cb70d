"""Draw a lesson's explorers ahead, so that they can be moved on a page without a kernel.

`python -m seglib.workshop.flipbooks NOTEBOOK CELL FOLDER` runs the statements that the explorer of
a cell depends on, checks that it says what the notebook has stored, and writes its frames.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode

from seglib.errors import SeglibError
from seglib.widgets.explorer import Explorer
from seglib.widgets.flipbook import Flipbook, draw_flipbook
from seglib.workshop.build import lessons_folder
from seglib.workshop.execute import kernel_environment
from seglib.workshop.slicing import needed_code

ROOT = Path(__file__).resolve().parents[2]
WIDGET = "application/vnd.jupyter.widget-view+json"
SECONDS = 900  # time limit for drawing an explorer; after it, only a picture is shown
STATES = "states.json"
LIBRARIES = ("torch", "numpy", "matplotlib", "pillow")


def explorer_cells(notebook: NotebookNode) -> dict[str, str]:
    """The cells whose output is an explorer: id → its stored summary."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if WIDGET in data and not data["text/plain"].startswith("<Quiz"):
                found[cell.id] = data["text/plain"]
    return found


def explorer_code(notebook: NotebookNode, cell_id: str) -> str:
    """The program that makes the explorer of a cell, and nothing else."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    last = [cell.id for cell in code].index(cell_id)
    return needed_code([cell.source for cell in code[: last + 1]])


def sources() -> list[Path]:
    """The files of the library that this process has imported, and the shipped checkpoints."""
    places = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    files = [Path(place) for place in places if place]
    library = [path for path in files if path.is_relative_to(ROOT / "seglib")]
    return sorted([*library, *(ROOT / "data" / "checkpoints").glob("*.safetensors")])


def fingerprint(names: Iterable[str]) -> str:
    """A hash of files of the checkout and of the versions of the libraries that draw."""
    digest = hashlib.sha256(" ".join(map(importlib.metadata.version, LIBRARIES)).encode())
    for name in names:
        path = ROOT / name
        digest.update(path.read_bytes() if path.exists() else b"")
    return digest.hexdigest()


def is_fresh(folder: Path) -> bool:
    """Whether the frames in a folder were drawn by the library as it is now."""
    file = folder / STATES
    states = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    return states is not None and states["made_by"] == fingerprint(states["made_from"])


def flipbook_folder(notebook: Path, cell_id: str, cache: Path) -> Path | None:
    """The folder with the frames of an explorer, drawn now unless `cache` has them.

    Returns:
        None, and a line on standard error, if the explorer cannot be drawn here.
    """
    code = explorer_code(nbformat.read(notebook, 4), cell_id)
    folder = cache / hashlib.sha256(code.encode()).hexdigest()[:16]
    if is_fresh(folder):
        return folder
    command = [sys.executable, "-m", __name__, str(notebook), cell_id, str(folder)]
    environment = {**kernel_environment("pocket"), "OMP_NUM_THREADS": "1"}
    try:
        run = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        problem = run.stderr.strip().splitlines()[-1:] if run.returncode else []
    except subprocess.TimeoutExpired:
        problem = [f"not drawn in {SECONDS} seconds"]
    for line in problem:
        print(f"{notebook.name}, cell {cell_id!r}: only a picture, {line}", file=sys.stderr)
    return None if problem else folder


def draw(notebook: Path, cell_id: str, folder: Path) -> None:
    """Make the explorer of a cell, check it, and write its frames to `folder`, all or nothing.

    Raises:
        SeglibError: the explorer does not say what the notebook has stored.
    """
    stored = nbformat.read(notebook, 4)
    explorer = make_explorer(explorer_code(stored, cell_id))
    now, before = explorer._repr_mimebundle_()["text/plain"], explorer_cells(stored)[cell_id]
    if now != before:
        raise SeglibError(f"the explorer says {now!r}, and in the notebook {before!r}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        write_flipbook(draw_flipbook(explorer), Path(made))
        Path(made).chmod(0o755)  # as other folders: a web server may have to read it
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another process was quicker
            Path(made).rename(folder)
        Path(made).mkdir(exist_ok=True)


def make_explorer(code: str) -> Explorer:
    """Run a program in the lessons' folder; returns the value of its last expression."""
    program = ast.parse(code)
    (*body, last), names = program.body, dict[str, Any]()
    assert isinstance(last, ast.Expr)
    os.chdir(lessons_folder())
    with contextlib.redirect_stdout(None):
        exec(compile(ast.Module(body, []), "lesson", "exec"), names)
        explorer: Explorer = eval(compile(ast.Expression(last.value), "lesson", "eval"), names)
    return explorer


def write_flipbook(book: Flipbook, folder: Path) -> None:
    """Write the frames as files, and everything else as JSON; equal pictures are stored once."""
    names = [path.relative_to(ROOT).as_posix() for path in sources()]
    frames = []
    for frame in book.frames:
        suffix = "png" if frame.picture.startswith(b"\x89PNG") else "webp"
        name = f"{hashlib.sha256(frame.picture).hexdigest()[:12]}.{suffix}"
        (folder / name).write_bytes(frame.picture)
        frames.append({"places": frame.places, "file": name, "words": frame.words})
    states = {
        "name": book.name,
        "dials": [asdict(dial) for dial in book.dials],
        "frames": frames,
        "table": book.table,
        "start": book.start,
        "made_from": names,
        "made_by": fingerprint(names),
    }
    (folder / STATES).write_text(json.dumps(states, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    draw(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
