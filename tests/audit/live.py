"""What only a browser can tell: overflow, contrast, dead controls, and what axe finds."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.helpers import HANG_SECONDS

HERE = Path(__file__).parent
# The pages of each kind, as patterns of their addresses in the site.
KINDS = {
    "landing": "intro.html",
    "install": "install.html",
    "results": "results.html",
    "cheat sheet": "cheatsheet.html",
    "notation": "notation.html",
    "glossary": "glossary.html",
    "references": "references.html",
    "instructor": "instructor.html",
    "lessons": "lessons/*.html",
    "assignments": "lessons/assignments/*.html",
    "API": "api/*.html",
    "search": "search.html",
}
# Width in pixels and mode. axe runs where its findings can differ: each width and each mode once.
VIEWS = ((1400, "light"), (1400, "dark"), (390, "light"), (390, "dark"))
AXE = {(1400, "light"), (390, "dark")}
LEAST_CONTRAST = 4.5
# Texts that we write in colour, or that stand around figures.
COLOURED = (
    ".tag_quiz details, .tag_quiz summary, .tag_quiz b, .tag_quiz p, .tag_quiz button, "
    ".quiz-score, .explorer label, .explorer output, .explorer p, "
    "figcaption, figcaption *:not(.headerlink), .cell_output p, .cell_output pre"
)
GRAVE = ("serious", "critical")


@dataclass
class Findings:
    """What is wrong with one page at one width and in one mode; each entry names the element.

    Attributes:
        overflow: parts that reach beyond the window, outside boxes that scroll.
        faint: coloured texts with a contrast below LEAST_CONTRAST.
        dark_paper: figures whose transparent parts show a dark page.
        dead: controls that nothing listens to.
        ours: axe's serious and critical findings inside the text of the page.
        theme: the same outside it: navigation, search, header and footer.
        minor: axe's other findings.
    """

    overflow: list[str] = field(default_factory=list)
    faint: list[str] = field(default_factory=list)
    dark_paper: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    theme: list[str] = field(default_factory=list)
    minor: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """All findings that we have to fix, with their kind."""
        kinds = ("overflow", "faint", "dark_paper", "dead", "ours")
        return [f"{kind}: {entry}" for kind in kinds for entry in getattr(self, kind)]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A file server that prints no log."""

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve a folder on this machine only; yields its address."""
    handler = partial(Quiet, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def pages_of(site: Path, kind: str) -> list[str]:
    """The addresses of a built site's pages of one kind.

    Raises:
        FileNotFoundError: there are none.
    """
    names = sorted(path.relative_to(site).as_posix() for path in site.glob(KINDS[kind]))
    if not names:
        raise FileNotFoundError(f"{site} has no page {KINDS[kind]}")
    return names


@contextmanager
def opened(browser: Any, address: str, width: int = 1400) -> Iterator[Any]:
    """A page of the site, settled: its scripts have run and its formulas are drawn."""
    page = browser.new_page(viewport={"width": width, "height": 900}, reduced_motion="reduce")
    page.goto(address, wait_until="load", timeout=1000 * HANG_SECONDS)
    page.evaluate("window.MathJax?.startup?.promise")
    page.add_script_tag(path=str(HERE / "probe.js"))
    page.add_script_tag(path=str(HERE / "axe" / "axe.min.js"))
    yield page
    page.close()


def show_as(page: Any, width: int, mode: str) -> None:
    """Resize an open page, and switch it to light or dark as the theme's button does."""
    page.set_viewport_size({"width": width, "height": 900})
    page.evaluate("mode => { document.documentElement.dataset.theme = mode; }", mode)
    page.wait_for_timeout(600)  # the theme makes boxes that now scroll reachable by keyboard


def examine(page: Any, *, axe: bool = True) -> Findings:
    """All findings for an open page; axe takes far longer than the rest."""
    found = Findings(
        overflow=page.evaluate("audit.overflow()"),
        faint=page.evaluate("([s, c]) => audit.faint(s, c)", [COLOURED, LEAST_CONTRAST]),
        dark_paper=page.evaluate("audit.dark_paper()"),
        dead=page.evaluate("audit.dead_controls()"),
    )
    if axe:
        sort_axe(run_axe(page), found)
    return found


def run_axe(page: Any) -> list[dict[str, Any]]:
    """axe's violations, each node with `inside`: whether it lies in the text of the page."""
    violations: list[dict[str, Any]] = page.evaluate(
        """async () => {
            const result = await axe.run(document, {resultTypes: ["violations"]});
            return result.violations.map(({id, impact, nodes}) => ({id, impact, nodes: nodes.map(
                ({target, html, failureSummary}) => ({
                    target: String(target), html: html.slice(0, 120),
                    why: failureSummary.split("\\n").slice(1).join(" ").trim().slice(0, 160),
                    inside: Boolean(document.querySelector(String(target[0]))?.closest("article")),
                }))}));
        }"""
    )
    return violations


def sort_axe(violations: list[dict[str, Any]], found: Findings) -> None:
    """Add axe's violations to the findings."""
    for violation in violations:
        for node in violation["nodes"]:
            entry = f"{violation['id']} ({violation['impact']}): {node['target']} {node['why']}"
            if violation["impact"] not in GRAVE:
                found.minor.append(entry)
            elif node["inside"]:
                found.ours.append(entry)
            else:
                found.theme.append(entry)
