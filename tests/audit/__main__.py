"""Print the audit of a built site: python -m tests.audit [FOLDER] [--verbose]"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.audit.files import broken_links, large_pages, read_pages, unnamed_images
from tests.audit.live import AXE, KINDS, VIEWS, Findings, examine, opened, served, show_as
from tests.conftest import find_chromium
from tests.helpers import ROOT

COLUMNS = ("overflow", "faint", "dark_paper", "dead", "ours", "theme", "minor")


def browse(site: Path) -> dict[tuple[str, int, str], Findings]:
    """The findings for each kind of page, width and mode."""
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as driver, served(site) as address:
        browser = driver.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-gpu"]
        )
        for kind, name in KINDS.items():
            if not (site / name).exists():
                continue
            with opened(browser, f"{address}/{name}") as page:
                for view in VIEWS:
                    show_as(page, *view)
                    found[kind, *view] = examine(page, axe=view in AXE)
        browser.close()
    return found


def main() -> int:
    """Print the tables; returns 1 if there is something to fix."""
    parser = argparse.ArgumentParser(prog="python -m tests.audit", description=__doc__)
    parser.add_argument("site", nargs="?", type=Path, default=ROOT / "book" / "_build" / "html")
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
    found = browse(given.site)
    table = Table("page", "px", "mode", *COLUMNS)
    for (kind, width, mode), one in found.items():
        counts = [str(len(getattr(one, name))) for name in COLUMNS]
        table.add_row(kind, str(width), mode, *counts)
    console.print(table)
    faults = Counter(fault for one in found.values() for fault in one.faults())
    theme = Counter(f"theme: {entry}" for one in found.values() for entry in one.theme)
    for entry, count in (faults + theme if given.verbose else faults).most_common():
        console.print(f"{count:3d} × {entry}", markup=False)
    return int(bool(faults) or any(files.values()))


if __name__ == "__main__":
    sys.exit(main())
