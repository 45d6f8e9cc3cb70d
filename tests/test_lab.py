"""Widgets in a running JupyterLab, used in a real browser as a reader uses them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import nbformat
import pytest

from tests.helpers import HANG_SECONDS, ROOT, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
PICTURE = "img[alt^=ConvolutionStepper]"

EXPLORER = """
from IPython.display import display
from seglib.widgets import ConvolutionStepper
display(ConvolutionStepper())
"""

QUIZ = """
from seglib.widgets import Option, Question, Quiz
options = [Option("one", feedback="Count again."), Option("two", correct=True)]
Quiz([Question("How many eyes has an owl?", options)])
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a notebook with an explorer and a quiz, opened in JupyterLab."""
    folder = tmp_path_factory.mktemp("lab")
    cells = [nbformat.v4.new_code_cell(source.strip()) for source in (EXPLORER, QUIZ)]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kernel)
    nbformat.write(notebook, folder / "widgets.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="),
        *(f"--ServerApp.root_dir={folder}", "--LabApp.news_url="),
    ]
    places = ("JUPYTER_CONFIG_DIR", "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    environment = {
        **os.environ,
        **{place: str(folder / place) for place in places},
        "PYTHONPATH": str(ROOT),
    }
    log = folder / "lab.log"
    with log.open("w") as output:
        server = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        wait_until(lambda: "is running at" in log.read_text(), server)
        yield f"http://127.0.0.1:{port}/lab/tree/widgets.ipynb"
    finally:
        server.terminate()
        server.wait(HANG_SECONDS)


@pytest.fixture(scope="module")
def notebook(browser: Any, lab: str) -> Iterator[Any]:
    """The page of that notebook after all its cells ran."""
    page = browser.new_page(viewport={"width": 1400, "height": 1000})
    page.set_default_timeout(1000 * HANG_SECONDS)
    page.goto(lab, wait_until="commit")
    page.locator(".jp-Notebook .jp-Cell").last.click()
    page.get_by_text("Run", exact=True).first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    page.locator(PICTURE).wait_for()
    page.get_by_role("button", name="B", exact=True).wait_for()
    yield page
    page.close()


def test_a_process_is_stepped_and_played(notebook):
    place, picture = notebook.locator(".widget-readout").last, notebook.locator(PICTURE)
    start, before = int(place.inner_text()), picture.get_attribute("src")

    def wait_for(number: int) -> None:
        expression = "([node, text]) => node.textContent === text"
        notebook.wait_for_function(expression, arg=[place.element_handle(), str(number)])

    notebook.locator("[title$='one step forward']").click()
    wait_for(start + 1)
    notebook.wait_for_function(
        "([selector, old]) => document.querySelector(selector).getAttribute('src') !== old",
        arg=[PICTURE, before],
    )
    notebook.locator("[title$='one step back']").click()
    wait_for(start)
    notebook.locator("[title$=': play']").click()
    wait_for(start + 2)
    notebook.locator("[title$=': pause']").click()
    notebook.locator("[title$=': play']").wait_for()


def test_a_quiz_judges_each_choice(notebook):
    wrong, right = (notebook.get_by_role("button", name=x, exact=True) for x in "AB")
    wrong.click()
    notebook.get_by_text("Not quite. Count again.").wait_for()
    right.click()
    notebook.get_by_text("1 of 1 correct, 0 at the first attempt").wait_for()
