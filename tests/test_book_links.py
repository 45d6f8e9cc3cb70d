"""The site links arXiv numbers to papers, and the first use of a term to the glossary."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from docutils import nodes
from docutils.utils import new_document

from tests.helpers import ROOT

TERMS = {"stride": "term-stride", "mean IoU": "term-mean-IoU", "IoU": "term-IoU"}
TERMS |= {"intersection over union": "term-IoU", "cost": "term-cost"}


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [str(ROOT / "book" / "_ext"), *sys.path])
    import links

    return links


def linked(links, *paragraphs: nodes.Node, page: str = "lessons/02_convolution"):
    """The links of a page: text and address."""
    document = new_document("page")
    document += list(paragraphs)
    objects = {("term", name): ("glossary", anchor) for name, anchor in TERMS.items()}
    env = SimpleNamespace(domains={"std": SimpleNamespace(objects=objects)})
    builder = SimpleNamespace(format="html", get_relative_uri=lambda _, to: f"../{to}.html")
    before = document.astext()
    links.process(SimpleNamespace(env=env, builder=builder), document, page)
    assert document.astext() == before
    return [(link.astext(), link["refuri"]) for link in document.findall(nodes.reference)]


def text(words: str) -> nodes.paragraph:
    return nodes.paragraph("", words)


def test_every_number_of_a_paper_is_linked(links):
    found = linked(links, text("A, arXiv 1411.4038; B, arXiv\n1703.06870."), page="references")
    assert found == [
        ("arXiv 1411.4038", "https://arxiv.org/abs/1411.4038"),
        ("arXiv\n1703.06870", "https://arxiv.org/abs/1703.06870"),
    ]


def test_a_term_is_linked_once_the_longest_first(links):
    page = text("Strides, a stride, another stride, mean IoU and IoU"), text("stride, IoUs")
    assert linked(links, *page) == [
        ("stride", "../glossary.html#term-stride"),
        ("mean IoU", "../glossary.html#term-mean-IoU"),
        ("IoU", "../glossary.html#term-IoU"),
    ]


def test_a_term_and_its_abbreviation_count_as_one(links):
    found = linked(links, text("intersection over union (IoU)"))
    assert [words for words, _ in found] == ["intersection over union"]


def test_titles_code_and_everyday_words_are_left_alone(links):
    code = nodes.paragraph("", "", nodes.literal("", "stride"), nodes.Text(" at no cost"))
    assert linked(links, nodes.title("", "stride"), code) == []


def test_only_lessons_link_to_the_glossary(links):
    assert linked(links, text("stride"), page="notation") == []
