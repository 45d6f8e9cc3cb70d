"""What all tests share: one seed, the devices to compute on, a real browser, the built book."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.fakes import write_squares
from tests.helpers import HANG_SECONDS, ROOT
from tests.pretend_gpu import pretended_gpu


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """The same numbers in every run: what a test, or a fixture set up for it, draws is seeded."""
    torch.manual_seed(0)


@contextmanager
def device_named(name: str) -> Iterator[torch.device]:
    """A device for a `with` block; without a CUDA GPU, the test that asks for it is skipped."""
    if name == "pretended":
        with pretended_gpu() as device:
            yield device
    elif name == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA GPU here")
    else:
        with torch.backends.cudnn.flags(allow_tf32=False):  # or convolutions keep 10 bits only
            yield torch.device(name)


@pytest.fixture(params=["cpu", "pretended", "cuda"])
def device(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """Where a test computes: here, on a GPU that is only pretended, and on a real one."""
    with device_named(request.param) as found:
        yield found


@pytest.fixture(params=["pretended", "cuda"])
def elsewhere(request: pytest.FixtureRequest) -> Iterator[torch.device]:
    """A device other than the CPU, for tests that compare with it."""
    with device_named(request.param) as found:
        yield found


def find_chromium() -> str | None:
    """The browser that tools/chromium.py finds (it also installs one, in `make test`)."""
    spec = importlib.util.spec_from_file_location("chromium", ROOT / "tools" / "chromium.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.find()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A Chromium driven by Playwright, or a skip that says what is missing."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium: run `make browser`, or name one by the variable CHROMIUM")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def squares(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`fakes.Squares` as a COCO folder, for --dataset; not to be changed."""
    return f"coco:{write_squares(tmp_path_factory.mktemp('squares'))}"


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the site, built once for all tests; a warning fails them."""
    folder = tmp_path_factory.mktemp("book")
    command = [sys.executable, str(ROOT / "tools" / "book.py"), str(folder)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=3 * HANG_SECONDS)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-4000:]
    return folder / "html"
