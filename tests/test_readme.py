"""What the README says is so: its tables, its Python, its commands, its files and its pictures."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command

from seglib.cli import app
from tests.helpers import HANG_SECONDS, ROOT

README = (ROOT / "README.md").read_text("utf-8")
INSTALL = (ROOT / "book" / "install.md").read_text("utf-8")
HERO_BYTES = 300_000


def script(path: str) -> ModuleType:
    """A script of the repository as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def readme() -> ModuleType:
    """tools/readme.py as a module."""
    return script("tools/readme.py")


def test_the_generated_parts_are_up_to_date(readme):
    assert readme.filled(README) == README, "run `python tools/readme.py`"
    for name, content in readme.badges().items():
        assert (readme.BADGES / name).read_text("utf-8") == content, "run `python tools/readme.py`"


def test_the_lesson_map_has_every_lesson_and_its_own_times(readme):
    rows = readme.lessons().splitlines()[2:]
    sources = sorted((ROOT / "lessons" / "source").glob("[0-9]*.py"))
    assert all(
        f"(lessons/{path.stem}.ipynb)" in row for path, row in zip(sources, rows, strict=True)
    )
    assert all(row.count("|") == 6 for row in rows)
    row = next(row for row in rows if "(lessons/07_mask_rcnn.ipynb)" in row)
    assert row.startswith("| [07 From anchors to Mask R-CNN]")
    assert "| 68 min | 55 min | mask AP 0." in row


def test_the_grid_of_the_readme_has_the_same_lessons_and_figures(readme):
    grid, rows = readme.lesson_grid(), readme.lessons().splitlines()[2:]
    for number, row in enumerate(rows):
        link, _, _, figure, ceiling = (cell.strip() for cell in row.strip("|").split("|"))
        cell = grid.splitlines()[2 + number // 3].strip("|").split("|")[number % 3]
        assert link in cell
        assert not figure or f"{figure} of {ceiling}" in cell
    assert "07_mask_rcnn.ipynb)<br>68 + 55 min<br>mask AP 0." in grid


def test_the_figures_are_those_on_record(readme, monkeypatch):
    record = {"figures": {"mask_AP": 0.12345}, "ceilings": {"mask_AP": {"ceiling": 0.9}}}
    monkeypatch.setattr(readme.pretrained, "record", lambda name: record)
    assert readme.figures("07_mask_rcnn") == ("mask AP 0.123", "0.900")
    assert readme.figures("01_images_masks_coco") == ("", "")
    monkeypatch.undo()
    files = {path.stem for path in (ROOT / "data" / "checkpoints").glob("*.json")}
    shown = {name for name, _ in readme.PARADIGMS.values()}
    assert files - shown <= {"fcn-16s", "fcn-32s"} | {f for f in files if f.startswith("pair-")}
    assert readme.PARADIGMS.keys() <= {p.stem for p in (ROOT / "lessons").glob("*.ipynb")}


def test_the_buttons_lead_to_the_repository(readme, monkeypatch):
    def with_address(address: str) -> str:
        settings = {"tool": {"seglib": {"repository": address}}}
        monkeypatch.setattr(readme, "project", lambda: settings)
        return readme.buttons()

    assert with_address("") == ""
    text = with_address("https://github.com/someone/course/")
    assert "https://codespaces.new/someone/course)" in text
    assert "/gh/someone/course/main?urlpath=lab/tree/lessons/00_start_here.ipynb)" in text
    assert "/github/someone/course/blob/main/lessons/00_start_here.ipynb)" in text
    assert (ROOT / readme.FIRST).is_file()


def test_its_python_runs_unchanged(tmp_path):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    found, without = map(int, re.findall(r"\d+", done.stdout))
    assert 5 <= found < without
    with Image.open(tmp_path / "found.png") as picture:
        assert picture.width > picture.height > 200


def commands(text: str) -> list[list[str]]:
    """The shell commands of a page's indented blocks and code spans, without comments."""
    blocks = re.findall(r"^    (\S.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.M)
    spans = re.findall(r"`((?:make|seglib) [^`]+)`", text)
    return [shlex.split(line, comments=True) for line in [*blocks, *spans]]


def is_command(words: list[str]) -> bool:
    """Whether `seglib …` names a command with options that it has."""
    command: Any = get_command(app)
    words = list(words)
    while hasattr(command, "commands"):
        if words[0] == "--help":
            return True
        if words[0] not in command.commands:
            return False
        command = command.commands[words.pop(0)]
    known = {name for parameter in command.params for name in parameter.opts}
    return all(word in known for word in words if word.startswith("--"))


@pytest.mark.parametrize("page", ["README.md", "book/install.md"])
def test_every_command_that_is_named_exists(page):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    settings = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    seen = 0
    for words in commands((ROOT / page).read_text("utf-8")):
        words = [word.removeprefix(".venv/bin/") for word in words]
        if words[0] == "make":
            assert words[1] in targets, words
            assert {word.split("=")[0] for word in words[2:]} <= settings, words
        elif words[0] == "seglib":
            assert is_command(words[1:]), words
        elif words[0] == "python":
            assert (ROOT / words[1]).is_file(), words
        else:
            continue
        seen += 1
    assert seen >= 8


def test_a_command_that_does_not_exist_is_noticed():
    assert is_command(["data", "check", "--dataset", "coco:a"])
    assert not is_command(["data", "chekc"])
    assert not is_command(["predict", "--outt", "a"])


@pytest.mark.parametrize("page", ["README.md", "book/install.md", "CONTRIBUTING.md"])
def test_every_file_that_a_page_links_to_exists(page):
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#\s]+)", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    local = [target for target in targets if not re.match(r"https?:", target)]
    paths = [(ROOT / page).parent / target for target in local]
    # That a lesson has been executed is a test of its own (tests/test_lessons.py).
    paths = [p.parent / "source" / f"{p.stem}.py" if p.suffix == ".ipynb" else p for p in paths]
    assert [str(path) for path in paths if not path.exists()] == []


def test_the_settings_on_the_installation_page_are_those_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    stated = set(re.findall(r"^\| `([A-Z_]+)=|`, `([A-Z_]+)=", INSTALL, re.MULTILINE))
    names = {name for pair in stated for name in pair if name}
    exported = re.search(r"^export (.+)$", makefile, re.MULTILINE)
    assert names == {"PYTHON", *exported[1].split()}


def test_the_picture_is_small():
    assert (ROOT / "book" / "images" / "hero.png").stat().st_size < HERO_BYTES


@pytest.mark.slow
def test_the_picture_is_what_its_command_draws(tmp_path):
    hero = script("book/images/hero.py")
    with Image.open(hero.FILE) as image:
        kept = np.asarray(image.convert("RGB")).astype(float)
    drawn = hero.hero().pixels().astype(float)
    assert kept.shape == drawn.shape
    assert np.abs(kept - drawn).mean() < 6  # of 255; the file has 256 colours
