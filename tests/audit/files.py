"""What can be checked in the files of the site: links, alternative texts, and sizes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGEST_PAGE = 4_000_000  # bytes of a page with the images that it shows at first
# Sphinx's viewcode lists built-in objects, for which it writes no page.
NOT_OURS = {"_modules/index.html: builtins.html"}


@dataclass
class Page:
    """What one page contains.

    Attributes:
        ids: targets of links to this page.
        links: addresses of links.
        parts: addresses of images, scripts and style sheets.
        unnamed: images without an alternative text, by their address.
    """

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Collects a `Page`."""

    def __init__(self) -> None:
        super().__init__()
        self.page = Page()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if given.get("id"):
            self.page.ids.add(given["id"] or "")
        if tag == "a" and given.get("name"):
            self.page.ids.add(given["name"] or "")
        if tag == "a" and given.get("href"):
            self.page.links.append(given["href"] or "")
        source = given.get("href") if tag == "link" else given.get("src")
        if source and tag in {"img", "script", "link", "source"}:
            self.page.parts.append(source)
        if tag == "img" and "alt" not in given:
            self.page.unnamed.append((source or "")[:80])


def read_pages(site: Path) -> dict[Path, Page]:
    """All pages of a built site, by their path in it."""
    pages = {}
    for path in sorted(site.rglob("*.html")):
        if "_static" in path.relative_to(site).parts:
            continue
        reader = Reader()
        reader.feed(path.read_text("utf-8"))
        pages[path.relative_to(site)] = reader.page
    return pages


def broken_links(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Internal links and parts that lead to no file, or to no place in it: "page: address"."""
    broken = []
    for path, page in pages.items():
        for address in [*page.links, *page.parts]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (site / path.parent / unquote(parts.path)) if parts.path else site / path
            target = target.resolve()
            if target.is_dir():
                target /= "index.html"
            known = pages.get(target.relative_to(site.resolve()) if target.exists() else path)
            place = unquote(parts.fragment)
            lost = place and known and target.suffix == ".html" and place not in known.ids
            if not target.exists() or lost:
                broken.append(f"{path}: {address}")
    return [entry for entry in broken if entry not in NOT_OURS]


def unnamed_images(pages: dict[Path, Page]) -> list[str]:
    """Images without an alternative text: "page: address"."""
    return [f"{path}: {source}" for path, page in pages.items() for source in page.unnamed]


def large_pages(site: Path, pages: dict[Path, Page]) -> list[str]:
    """Pages that, with the images that they show at first, are larger than LARGEST_PAGE."""
    return [
        f"{path}: {size / 1e6:.1f} MB"
        for path in pages
        if (size := page_bytes(site, path, pages[path])) > LARGEST_PAGE
    ]


def page_bytes(site: Path, path: Path, page: Page) -> int:
    """The bytes of a page and of its images, without scripts and style sheets of all pages."""
    images = {
        (site / path.parent / unquote(urlsplit(part).path)).resolve()
        for part in page.parts
        if "_images" in part
    }
    sizes = [image.stat().st_size for image in images if image.is_file()]
    return (site / path).stat().st_size + sum(sizes)
