"""Audit all pages of a built site, and print what is wrong: python -m tests.audit [FOLDER]"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import rich.progress
from rich.console import Console
from rich.table import Table

from tests.audit.files import broken_links, large_pages, read_pages, unnamed_images
from tests.audit.live import AXE, KINDS, VIEWS, Findings, examine, opened, pages_of, served, show_as
from tests.conftest import find_chromium
from tests.helpers import ROOT

COLUMNS = ("overflow", "faint", "dark_paper", "dead", "ours", "theme", "minor")


def browse(site: Path, kinds: Sequence[str]) -> dict[tuple[str, str, int, str], Findings]:
    """The findings for each page of some kinds, by kind, address, width and mode."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as driver, served(site) as address:
        browser = driver.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        pages = [(kind, name) for kind in kinds for name in pages_of(site, kind)]
        for kind, name in progress(pages):
            with opened(browser, f"{address}/{name}") as page:
                for view in VIEWS:
                    show_as(page, *view)
                    found[kind, name, *view] = examine(page, axe=view in AXE)
        browser.close()
    return found


def progress(pages: list[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    """The pages, with a progress bar on standard error."""
    return rich.progress.track(pages, "pages", console=Console(stderr=True), transient=True)


def summary(found: dict[tuple[str, str, int, str], Findings]) -> Table:
    """A row for each kind, width and mode: the number of pages and of the findings in them."""
    pages, counts = Counter[Any](), dict[Any, Counter[str]]()
    for (kind, _, *view), one in found.items():
        row = (kind, *view)
        pages[row] += 1
        counts.setdefault(row, Counter()).update({c: len(getattr(one, c)) for c in COLUMNS})
    table = Table("kind", "pages", "px", "mode", *COLUMNS)
    for (kind, width, mode), count in counts.items():
        numbers = [str(count[column]) for column in COLUMNS]
        table.add_row(kind, str(pages[kind, width, mode]), str(width), mode, *numbers)
    return table


def listed(found: dict[tuple[str, str, int, str], Findings], *, theme: bool) -> list[str]:
    """Each distinct fault, and what the theme does if asked for: how often, and where first."""
    places = dict[str, list[str]]()
    for (_, name, width, mode), one in found.items():
        foreign = [f"theme: {entry}" for entry in one.theme] if theme else []
        for fault in one.faults() + foreign:
            places.setdefault(fault, []).append(f"{name} ({width} px, {mode})")
    by_count = sorted(places.items(), key=lambda item: -len(item[1]))
    return [f"{len(where):3d} × {fault}, first in {where[0]}" for fault, where in by_count]


def main() -> int:
    """Print the tables; returns 1 if there is something to fix."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "book" / "_build" / "html")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only pages of this kind")
    parser.add_argument("--verbose", action="store_true", help="also list what the theme does")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 160)
    pages = read_pages(given.site)
    files = {
        "broken links": broken_links(given.site, pages),
        "images without alternative text": unnamed_images(pages),
        "pages that are too large": large_pages(given.site, pages),
    }
    for name, entries in files.items():
        console.print(f"{len(entries)} {name} in {len(pages)} pages")
        console.print("\n".join(f"  {entry}" for entry in entries), markup=False)
    found = browse(given.site, given.kind or list(KINDS))
    console.print(summary(found))
    console.print("\n".join(listed(found, theme=given.verbose)), markup=False)
    return int(any(one.faults() for one in found.values()) or any(files.values()))


if __name__ == "__main__":
    sys.exit(main())
