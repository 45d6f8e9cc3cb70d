"""The site builds without warnings from committed outputs and works without a network."""

from __future__ import annotations

import http.server
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import nbformat
import pytest

from seglib.workshop import build_lesson, execute
from seglib.workshop.execute import write_notebook
from tests.helpers import HANG_SECONDS, ROOT

REMOTE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["'](?:https?:)?//[^"']+"""
    r"""|<link[^>]*rel=["'](?:stylesheet|preload|modulepreload|preconnect)["'][^>]*//[^>]+>"""
    r"""|<link[^>]*href=["'](?:https?:)?//[^"']+["'][^>]*rel=["'](?:stylesheet|preload)""",
    re.IGNORECASE,
)
IMPORT = re.compile(r"""@import\s+(?:url\()?["']?(?:https?:)?//""", re.IGNORECASE)
LESSON = """\
# %% [markdown] id="start"
# # 90. A page with everything
#
# Inline $x^2$ and on its own line
#
# $$\\sum_i n_{ii}$$

# %% id="slider"
import ipywidgets
ipywidgets.VBox([ipywidgets.IntSlider(3, description="stride"), ipywidgets.HTML("<b>kept</b>")])

# %% id="picture" alt="a falling line that stands for a loss"
import matplotlib.pyplot as plt
_ = plt.plot([2, 1])
"""


@pytest.mark.parametrize(
    ("page", "remote"),
    [
        ('<script src="https://cdn.example/x.js"></script>', True),
        ('<script async src="//cdn.example/x.js"></script>', True),
        ('<link rel="stylesheet" href="https://cdn.example/x.css">', True),
        ('<link href="https://cdn.example/x.css" rel="stylesheet">', True),
        ('<img alt="" src="http://images.example/1.jpg">', True),
        ('<script src="_static/x.js"></script><a href="https://arxiv.org">paper</a>', False),
        ('<link rel="canonical" href="https://example.org/">', False),
    ],
)
def test_the_check_finds_remote_parts(page, remote):
    assert bool(REMOTE.search(page)) == remote


def test_no_page_needs_the_network(book):
    pages = sorted(book.rglob("*.html"))
    assert len(pages) > 10
    bad = []
    for page in pages:
        found = REMOTE.search(page.read_text("utf-8"))
        bad += [f"{page.relative_to(book)}: {found.group()[:120]}"] if found else []
    for sheet in book.rglob("*.css"):
        if IMPORT.search(sheet.read_text("utf-8", errors="replace")):
            bad.append(f"{sheet.relative_to(book)} imports a remote sheet")
    assert not bad, "\n".join(bad)


def test_every_lesson_and_every_package_has_its_page(book):
    for notebook in (ROOT / "lessons").glob("*.ipynb"):
        page = (book / "lessons" / f"{notebook.stem}.html").read_text("utf-8")
        alts = [
            cell.metadata["mystnb"]["image"]["alt"]
            for cell in nbformat.read(notebook, 4).cells
            if "mystnb" in cell.metadata
        ]
        assert page.count("<img alt=") >= 0.9 * len(alts)
    for name in ("ops", "nn", "models", "data", "metrics", "training", "plotting", "workshop"):
        assert "sig-name" in (book / "api" / f"{name}.html").read_text("utf-8"), name


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site of one lesson with the book's own configuration, served on this machine only."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "90_everything.py"
    source.write_text(LESSON)
    write_notebook(execute(build_lesson(source), "90", folder=folder), folder / "start.ipynb")
    shutil.copytree(ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("_build", "*.md"))
    shutil.move(folder / "start.ipynb", folder / "book" / "intro.ipynb")
    (folder / "book" / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    builder = str(Path(sys.executable).with_name("jupyter-book"))
    run = subprocess.run(
        [builder, "build", str(folder / "book"), "-W", "-q"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    handler = partial(Quiet, directory=str(folder / "book" / "_build" / "html"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/intro.html"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that prints no log."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.mark.browser
def test_mathematics_widgets_and_pictures_show_without_a_network(browser, small_site):
    page = browser.new_page()
    wanted: list[str] = []

    def local_only(route, request):
        wanted.append(request.url)
        local = request.url.startswith(("http://127.0.0.1", "data:"))
        return route.continue_() if local else route.abort()

    page.route("**/*", local_only)
    page.goto(small_site)
    page.wait_for_selector("mjx-container svg", timeout=1000 * HANG_SECONDS)
    assert page.locator("mjx-container svg").count() == 2
    page.wait_for_selector(".widget-slider", timeout=1000 * HANG_SECONDS)
    assert page.locator(".widget-slider .widget-label").inner_text() == "stride"
    assert page.locator(".widget-html b").inner_text() == "kept"
    picture = page.locator("img[alt='a falling line that stands for a loss']")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 100")
    remote = [url for url in wanted if not url.startswith(("http://127.0.0.1", "data:"))]
    assert remote == []
    page.close()
