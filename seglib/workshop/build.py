"""Build an unexecuted notebook from a text source, and resolve the names of lessons."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from seglib.errors import SeglibError

try:
    import jupytext
    import nbformat
    from nbformat import NotebookNode
except ModuleNotFoundError as missing:  # pragma: no cover - a wheel without the lab extra
    raise SeglibError(
        f"building lessons needs the package {missing.name!r}: in the checkout, run "
        "pip install -e '.[lab]'"
    ) from missing

CELL_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
LESSON_NAME = re.compile(r"\d\d_[a-z0-9_]+")
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {
    "file_extension": ".py",
    "mimetype": "text/x-python",
    "name": "python",
    "pygments_lexer": "ipython3",
}


def lessons_folder() -> Path:
    """The folder of the lessons: the checkout's, or `lessons` in the current folder.

    Raises:
        SeglibError: neither exists; the wheel does not contain the lessons.
    """
    for root in (Path(__file__).resolve().parents[2], Path.cwd()):
        if (root / "lessons" / "source").is_dir():
            return root / "lessons"
    raise SeglibError("no folder lessons/source here: run this in a checkout of the course")


def lesson_names(names: list[str] | None = None, folder: Path | None = None) -> list[str]:
    """Resolve what a user typed ("02", "02_convolution") to lesson names.

    Args:
        names: numbers or names; None or an empty list means all lessons.
        folder: the folder of the `NN_name.py` sources; `lessons/source` by default.

    Returns:
        names without suffix, sorted.

    Raises:
        SeglibError: a name matches no source, or several.
    """
    folder = folder or lessons_folder() / "source"
    known = sorted(p.stem for p in folder.glob("*.py") if LESSON_NAME.fullmatch(p.stem))
    if not names:
        return known
    return sorted({_resolve(name, known, folder) for name in names})


def _resolve(name: str, known: list[str], folder: Path) -> str:
    stem = Path(name).stem
    wanted = stem.zfill(2) if stem.isdigit() else stem
    matches = [k for k in known if k == wanted or k.split("_")[0] == wanted]
    if len(matches) != 1:
        listed = ", ".join(known) or "nothing yet"
        raise SeglibError(
            f"{name!r} matches {len(matches)} sources in {folder.name}/, which contains {listed}"
        )
    return matches[0]


def source_path(name: str) -> Path:
    """The text source of a lesson."""
    return lessons_folder() / "source" / f"{name}.py"


def build_lesson(source: Path) -> NotebookNode:
    """Read a percent-format source into a notebook without outputs.

    Shorthands on a cell marker become notebook metadata: `id="…"` becomes the cell's id,
    `alt="…"` the alt text of its figure (`mystnb.image.alt`), and the tag `hide-input`, which folds
    a cell's code on the site, also folds it in JupyterLab (`jupyter.source_hidden`).

    Args:
        source: a `.py` file in which every cell marker has an id.

    Returns:
        an nbformat 4.5 notebook with explicit cell ids and fixed metadata.

    Raises:
        SeglibError: a cell has no id, or one that is malformed or used twice.
    """
    try:
        parsed = jupytext.reads(source.read_text(encoding="utf-8"), fmt="py:percent")
    except FileNotFoundError:
        raise SeglibError(f"{source} does not exist") from None
    except OSError as error:
        raise SeglibError(f"cannot read {source}: {error.strerror or error}") from error
    except Exception as error:  # not UTF-8, or text on which jupytext fails in one way or another
        raise SeglibError(
            f"{source} is not text in the percent format ({error}): save it as UTF-8, with a "
            '# %% id="…" before each cell'
        ) from error
    notebook = nbformat.v4.new_notebook(
        metadata={"kernelspec": dict(KERNELSPEC), "language_info": dict(LANGUAGE)}
    )
    seen: set[str] = set()
    for cell in parsed.cells:
        notebook.cells.append(_cell(cell, source, seen))
    return notebook


def _cell(parsed: NotebookNode, source: Path, seen: set[str]) -> NotebookNode:
    metadata: dict[str, Any] = dict(parsed.metadata)
    metadata.pop("lines_to_next_cell", None)  # only jupytext needs it
    cell_id = metadata.pop("id", None)
    opening = parsed.source.strip().split("\n")[0][:60]
    if not isinstance(cell_id, str) or not CELL_ID.fullmatch(cell_id):
        raise SeglibError(
            f"{source.name}: the cell that begins {opening!r} needs an id of lower-case letters, "
            f'digits and hyphens on its marker, as in # %% id="stride-by-hand", not {cell_id!r}'
        )
    if cell_id in seen:
        raise SeglibError(f"{source.name}: two cells have the id {cell_id!r}: rename one")
    seen.add(cell_id)
    if "alt" in metadata:
        metadata["mystnb"] = {"image": {"alt": metadata.pop("alt")}}
    if "hide-input" in metadata.get("tags", []):
        metadata["jupyter"] = {"source_hidden": True}
    make = {"markdown": nbformat.v4.new_markdown_cell, "raw": nbformat.v4.new_raw_cell}.get(
        parsed.cell_type, nbformat.v4.new_code_cell
    )
    return make(source=parsed.source, id=cell_id, metadata=metadata)
