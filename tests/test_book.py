"""The site builds without warnings from committed outputs and works without a network."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from seglib.workshop import build_lesson, execute
from seglib.workshop.execute import write_notebook
from seglib.workshop.flipbooks import explorer_cells
from seglib.workshop.static_page import show_without_kernel
from tests.audit.files import broken_links, large_pages, read_pages, unnamed_images
from tests.audit.live import AXE, KINDS, VIEWS, examine, opened, pages_of, served, show_as
from tests.helpers import HANG_SECONDS, ROOT

REMOTE = re.compile(
    r"""<(?:script|img|iframe|source)[^>]*\ssrc=["'](?:https?:)?//[^"']+"""
    r"""|<link[^>]*rel=["'](?:stylesheet|preload|modulepreload|preconnect)["'][^>]*//[^>]+>"""
    r"""|<link[^>]*href=["'](?:https?:)?//[^"']+["'][^>]*rel=["'](?:stylesheet|preload)""",
    re.IGNORECASE,
)
IMPORT = re.compile(r"""@import\s+(?:url\()?["']?(?:https?:)?//""", re.IGNORECASE)
# An address that leads to the landing page, and lists of names without text of ours.
MADE_BY_SPHINX = {"index.html", "genindex.html", "py-modindex.html"}
LESSON = """\
# %% [markdown] id="start"
# # 90. A page with everything
#
# Inline $x^2$ and on its own line
#
# $$\\sum_i n_{ii}$$

# %% id="explorer" alt="bars of the field of one layer"
from seglib.widgets import Option, Question, Quiz, ReceptiveField

class Layers(ReceptiveField):
    def ahead(self):
        return {"layers": [1, 2]}

Layers(layers=1)

# %% id="quiz" tags=["quiz", "hide-input"]
sums = Question("1 + 1 is", [Option("2", correct=True), Option("3", feedback="One too many.")])
names = Question("A sheep is a", [Option("thing", True), Option("stuff", feedback="Count them.")])
Quiz([sums, names])

# %% id="picture" alt="a falling line that stands for a loss"
from seglib.plotting import training_curve
training_curve([2.0, 1.0])
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


def test_every_script_is_loaded_once(book):
    page = (book / "intro.html").read_text("utf-8")
    for name in ("quiz.js", "explorers.js", "tex-svg.js"):
        assert len(re.findall(rf"<script[^>]*/{name}", page)) == 1, name


def test_every_lesson_and_every_package_has_its_page(book):
    for notebook in (ROOT / "lessons").glob("*.ipynb"):
        page = (book / "lessons" / f"{notebook.stem}.html").read_text("utf-8")
        alts = [
            cell.metadata["mystnb"]["image"]["alt"]
            for cell in nbformat.read(notebook, 4).cells
            if "mystnb" in cell.metadata
        ]
        pictures = page.count("<img alt=") + page.count('<section class="explorer"')
        assert pictures >= 0.9 * len(alts)
    for name in ("ops", "nn", "models", "data", "metrics", "training", "plotting", "workshop"):
        assert "sig-name" in (book / "api" / f"{name}.html").read_text("utf-8"), name


def test_links_sizes_and_alternative_texts(book):
    pages = read_pages(book)
    assert broken_links(book, pages) == []
    assert unnamed_images(pages) == []
    assert large_pages(book, pages) == []


def test_every_explorer_can_be_moved_or_refers_to_jupyterlab(book):
    for notebook in (ROOT / "lessons").glob("*.ipynb"):
        page = (book / "lessons" / f"{notebook.stem}.html").read_text("utf-8")
        count = len(explorer_cells(nbformat.read(notebook, 4)))
        assert page.count('<section class="explorer"') == count
        assert page.count("In JupyterLab") >= count
        assert "widget-view" not in page
        assert "widget-state" not in page


def test_the_audit_covers_every_page(book):
    audited = {name for kind in KINDS for name in pages_of(book, kind)}
    pages = {page.as_posix() for page in read_pages(book)} - MADE_BY_SPHINX
    assert {page for page in pages - audited if not page.startswith("_modules/")} == set()


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_the_audit_finds_nothing_to_fix(browser, book, kind):
    with served(book) as address:
        for name in pages_of(book, kind):
            with opened(browser, f"{address}/{name}") as page:
                for view in VIEWS:
                    show_as(page, *view)
                    assert examine(page, axe=view in AXE).faults() == [], (name, view)


@pytest.fixture(scope="module")
def small_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site of one lesson with the book's own configuration, served on this machine only."""
    folder = tmp_path_factory.mktemp("site")
    source = folder / "90_everything.py"
    source.write_text(LESSON)
    copy = shutil.copytree(
        ROOT / "book", folder / "book", ignore=shutil.ignore_patterns("_build", "*.md")
    )
    lesson = copy / "intro.ipynb"
    write_notebook(execute(build_lesson(source), "90", folder=folder), lesson)
    show_without_kernel([lesson], folder / "frames", copy / "_static", "_static")
    (copy / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    builder = str(Path(sys.executable).with_name("jupyter-book"))
    run = subprocess.run(
        [builder, "build", str(copy), "-W", "-q"],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    with served(copy / "_build" / "html") as address:
        yield f"{address}/intro.html"


@pytest.mark.browser
def test_mathematics_and_pictures_show_without_a_network(browser, small_site):
    page = browser.new_page()
    wanted: list[str] = []

    def local_only(route, request):
        wanted.append(request.url)
        local = request.url.startswith(("http://127.0.0.1", "data:"))
        return route.continue_() if local else route.abort()

    page.route("**/*", local_only)
    page.goto(small_site, timeout=1000 * HANG_SECONDS)
    page.wait_for_selector("mjx-container svg", timeout=1000 * HANG_SECONDS)
    assert page.locator("mjx-container svg").count() == 2
    picture = page.locator("img[alt='a falling line that stands for a loss']")
    assert picture.evaluate("image => image.complete && image.width > 100")
    assert picture.evaluate("image => image.naturalWidth === 2 * image.width")  # a fine figure
    remote = [url for url in wanted if not url.startswith(("http://127.0.0.1", "data:"))]
    assert remote == []
    page.close()


@pytest.mark.browser
def test_an_explorer_is_moved_by_keyboard(browser, small_site):
    with opened(browser, small_site) as page:
        slider, picture = page.get_by_role("slider"), page.locator(".explorer img")
        before = picture.get_attribute("src")
        slider.press("ArrowRight")
        assert page.locator(".explorer output").inner_text() == "2"
        assert page.locator(".explorer-words").inner_text().startswith("After 2 layers")
        assert picture.get_attribute("alt").startswith("After 2 layers")
        assert picture.get_attribute("src") != before
        page.wait_for_function(
            "() => document.querySelector('.explorer img').naturalWidth > 100",
            timeout=1000 * HANG_SECONDS,
        )
        assert examine(page).faults() == []


@pytest.mark.browser
def test_a_process_is_stepped_and_plays_to_its_end(browser, small_site):
    with opened(browser, small_site) as page:
        shown = page.locator(".explorer output")
        play, back = page.locator(".explorer-play"), page.locator(".explorer-back")
        page.get_by_role("button", name="one step forward").click()
        assert shown.inner_text() == "2"
        back.click()
        back.click()
        assert shown.inner_text() == "1"
        play.click()
        assert play.get_attribute("title") == "pause"
        page.wait_for_selector(".explorer-play[title=play]", timeout=1000 * HANG_SECONDS)
        assert shown.inner_text() == "2"
        play.click()  # at the end: from the beginning
        assert shown.inner_text() == "1"
        play.click()
        assert play.get_attribute("title") == "play"
        for view in VIEWS:
            show_as(page, *view)
            assert examine(page, axe=view in AXE).faults() == [], view


@pytest.mark.browser
def test_a_quiz_gives_feedback_and_a_score(browser, small_site):
    with opened(browser, small_site) as page:
        score, feedback = page.locator(".quiz-score"), page.locator(".quiz-feedback")
        assert score.inner_text() == "0 of 2 correct, 0 at the first attempt; 0 answered."
        wrong = page.locator(".quiz-option", has_text="A. 3")
        wrong.focus()
        wrong.press("Enter")
        assert feedback.first.inner_text() == "✗ Not quite. One too many."
        assert wrong.get_attribute("aria-pressed") == "true"
        page.locator(".quiz-option", has_text="B. 2").click()
        page.locator(".quiz-option", has_text="thing").click()
        assert feedback.first.inner_text().startswith("✓ Correct.")
        assert score.inner_text() == "2 of 2 correct, 1 at the first attempt; 2 answered."
        for view in VIEWS:
            show_as(page, *view)
            assert examine(page, axe=view in AXE).faults() == [], view
        page.get_by_role("button", name="Start again").click()
        assert score.inner_text().startswith("0 of 2 correct")
        assert feedback.first.inner_text() == ""


@pytest.mark.browser
def test_without_a_script_quizzes_unfold_and_no_control_is_shown(browser, small_site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(small_site, timeout=1000 * HANG_SECONDS)
    assert page.locator(".tag_quiz .cell_output details").count() == 4
    page.locator(".tag_quiz .cell_output summary", has_text="3").click()
    assert page.locator("details[open] p", has_text="One too many.").is_visible()
    assert page.locator(".explorer img").is_visible()
    assert not page.locator(".explorer input").is_visible()
    context.close()
