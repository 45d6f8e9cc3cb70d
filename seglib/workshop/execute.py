"""Execute lessons from their sources and keep the notebooks beside them up to date."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)

from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.workshop.build import build_lesson, lesson_names, lessons_folder, source_path
from seglib.workshop.normalise import normalise, notebook_text

CELL_SECONDS = 300


@dataclass(frozen=True)
class LessonRun:
    """The result of running one lesson.

    Attributes:
        name: the lesson's name, without suffix.
        seconds: wall time of the execution.
        written: whether the notebook on disk changed.
        notebook: the executed, normalised notebook.
    """

    name: str
    seconds: float
    written: bool
    notebook: NotebookNode


def run(
    names: list[str] | None = None, *, write: bool = True, dataset: str | None = None
) -> list[LessonRun]:
    """Build, execute, normalise and write lessons, showing a progress bar.

    Notebooks are only written with Pocket COCO: with another data set the lessons are executed
    and nothing changes on disk.

    Args:
        names: numbers or names ("02", "02_convolution"); None means all lessons.
        write: whether to replace the notebooks in `lessons/`.
        dataset: SEGLIB_DATASET for the lesson; the environment's by default.

    Returns:
        one LessonRun per lesson, in order.

    Raises:
        SeglibError: an unknown name, or a cell that failed; the message names lesson and cell.
    """
    dataset = dataset or os.environ.get("SEGLIB_DATASET") or "pocket"
    console = Console(stderr=True)
    if write and dataset != "pocket":
        console.print(f"the data set is {dataset}: the committed notebooks are not replaced")
        write = False
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    finished = []
    with Progress(*columns, TimeElapsedColumn(), console=console) as bar:
        for name in lesson_names(names):
            notebook = build_lesson(source_path(name))
            row = bar.add_task(name, total=len(notebook.cells))
            start = time.perf_counter()
            notebook = execute(notebook, name, dataset=dataset, on_cell=partial(_advance, bar, row))
            seconds = time.perf_counter() - start
            target = lessons_folder() / f"{name}.ipynb"
            written = write and write_notebook(notebook, target)
            finished.append(LessonRun(name, seconds, written, notebook))
    return finished


def _advance(bar: Progress, row: TaskID, cells: int) -> None:
    bar.update(row, completed=cells)


def execute(
    notebook: NotebookNode,
    name: str,
    *,
    folder: Path | None = None,
    dataset: str = "pocket",
    on_cell: Callable[[int], None] | None = None,
) -> NotebookNode:
    """Execute every cell in a fresh kernel and normalise the result.

    Args:
        notebook: without outputs; it is executed in place.
        name: the lesson's name, for error messages.
        folder: the kernel's working folder; the lessons' folder by default.
        dataset: SEGLIB_DATASET in the kernel; a relative `coco:PATH` is made absolute.
        on_cell: called with the number of cells done, Markdown included.

    Returns:
        the normalised notebook, which records the data set in its metadata.

    Raises:
        SeglibError: a cell raised an exception, timed out or killed the kernel.
    """
    folder = folder or lessons_folder()
    client = notebook_client(notebook, folder, record_timing=False, coalesce_streams=True)
    if on_cell:
        client.on_cell_complete = lambda cell, cell_index: on_cell(cell_index + 1)
    try:
        client.execute(env=kernel_environment(dataset))
    except CellExecutionError as error:
        cell = _failed_cell(notebook)
        raise SeglibError(f"lesson {name} failed in cell {cell!r}\n{error.traceback}") from None
    except (CellTimeoutError, DeadKernelError) as error:
        raise SeglibError(f"lesson {name}: {error}") from None
    notebook.metadata["seglib"] = {"dataset": dataset.split(":")[0]}
    return normalise(notebook, root=folder.parent)


def notebook_client(notebook: NotebookNode, folder: Path, **options: Any) -> NotebookClient:
    """A client that runs the notebook in a fresh Python kernel with `folder` as its folder."""
    return NotebookClient(
        notebook,
        timeout=CELL_SECONDS,
        kernel_name="python3",
        extra_arguments=["--log-level=40"],  # keep the kernel's own warnings off the terminal
        resources={"metadata": {"path": str(folder)}},
        **options,
    )


def _failed_cell(notebook: NotebookNode) -> str:
    for cell in notebook.cells:
        if any(output.output_type == "error" for output in cell.get("outputs", [])):
            return str(cell.id)
    return "unknown"


def kernel_environment(dataset: str) -> dict[str, str]:
    """The caller's environment with SEGLIB_DATASET set and string hashing made repeatable."""
    kind, _, path = dataset.partition(":")
    if path:
        dataset = f"{kind}:{Path(path).expanduser().resolve()}"
    return {**os.environ, "SEGLIB_DATASET": dataset, "PYTHONHASHSEED": "0"}


def write_notebook(notebook: NotebookNode, target: Path) -> bool:
    """Write a notebook unless the file already has this content; True if it was written."""
    text = notebook_text(notebook)
    if target.exists() and target.read_text(encoding="utf-8") == text:
        return False
    write_atomic(target, lambda stream: stream.write(text.encode("utf-8")))
    return True
