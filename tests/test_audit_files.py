"""The audit's checks of the site's files find what they should."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.audit import files
from tests.audit.files import broken_links, large_pages, read_pages, unnamed_images

GOOD = '<h1 id="top">A</h1><a href="b/c.html#there">c</a><a href="https://x.org/y">y</a>'
OTHER = '<p id="there"></p><a href="../a.html#top">a</a><img alt="" src="../_images/i.png">'


def site(folder: Path, extra: str = "") -> Path:
    (folder / "b").mkdir()
    (folder / "_images").mkdir()
    (folder / "_images" / "i.png").write_bytes(b"0" * 100)
    (folder / "a.html").write_text(GOOD + extra)
    (folder / "b" / "c.html").write_text(OTHER)
    return folder


def test_a_sound_site_has_no_findings(tmp_path: Path) -> None:
    pages = read_pages(site(tmp_path))
    assert len(pages) == 2
    assert broken_links(tmp_path, pages) == []
    assert unnamed_images(pages) == []
    assert large_pages(tmp_path, pages) == []


@pytest.mark.parametrize(
    "extra",
    [
        '<a href="nowhere.html">x</a>',
        '<a href="#nowhere">x</a>',
        '<a href="b/c.html#elsewhere">x</a>',
        '<img alt="" src="_images/j.png">',
        '<script src="s.js"></script>',
    ],
)
def test_a_broken_link_is_found(tmp_path: Path, extra: str) -> None:
    broken = broken_links(tmp_path, read_pages(site(tmp_path, extra)))
    assert len(broken) == 1
    assert broken[0].startswith("a.html: ")


def test_an_image_without_alternative_text_is_found(tmp_path: Path) -> None:
    pages = read_pages(site(tmp_path, '<img src="_images/i.png">'))
    assert unnamed_images(pages) == ["a.html: _images/i.png"]


def test_a_page_counts_with_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = read_pages(site(tmp_path))
    monkeypatch.setattr(files, "LARGEST_PAGE", 150)
    assert [entry.split(":")[0] for entry in large_pages(tmp_path, pages)] == ["b/c.html"]
