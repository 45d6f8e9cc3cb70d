"""Link what pages mention: arXiv numbers and DOIs to the papers, terms in lessons to the glossary.

In each lesson only the first use of a term is linked. Titles, code, links and quizzes stay as they
are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from docutils import nodes

# How papers are named, and the address to which the name leads.
PAPERS = {
    re.compile(r"arXiv[:\s]\s*(\d{4}\.\d{4,5})"): "https://arxiv.org/abs/",
    re.compile(r"doi:(10\.\d{4,}/[\w./()-]*\w)"): "https://doi.org/",
}
# Words that also have an everyday meaning, so that a link would often be wrong.
EVERYDAY = re.compile(
    r"assign(ment)?|background|correction|cost|detection|head|matching|no object|query|ray|sample"
    r"|score"
)
LEFT_ALONE = (nodes.title, nodes.literal, nodes.literal_block, nodes.reference, nodes.raw)


def texts(doctree: nodes.document, within: type[nodes.Node]) -> Iterator[nodes.Text]:
    """The texts inside nodes of one kind, without those in which nothing is linked."""
    for text in list(doctree.findall(nodes.Text)):
        parents, node = [], text.parent
        while node is not None:
            parents.append(node)
            node = node.parent
        inside = any(isinstance(parent, within) for parent in parents)
        if inside and not any(isinstance(parent, LEFT_ALONE) for parent in parents):
            yield text


def replace(text: nodes.Text, found: re.Match[str], link: nodes.reference) -> nodes.Text:
    """Put a link in place of a match; returns the text that follows it."""
    before, after = str(text)[: found.start()], nodes.Text(str(text)[found.end() :])
    text.parent.replace(text, [nodes.Text(before), link, after])
    return after


def link_papers(doctree: nodes.document) -> None:
    """Link every arXiv number to its abstract, and every DOI to the publisher's page."""
    for name, address in PAPERS.items():
        for text in texts(doctree, nodes.Element):
            while found := name.search(str(text)):
                link = nodes.reference("", found.group(), refuri=address + found.group(1))
                text = replace(text, found, link)


def link_terms(app: Any, doctree: nodes.document, page: str) -> None:
    """Link the first use of each term of the glossary in the paragraphs of a lesson."""
    places = {
        name: (target, anchor)
        for (kind, name), (target, anchor) in app.env.domains["std"].objects.items()
        if kind == "term" and not EVERYDAY.fullmatch(name)
    }
    if not places:
        return
    longest_first = sorted(places, key=len, reverse=True)
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, longest_first))})(?:e?s)?\b")
    linked = {page}  # anchors; a term and its abbreviation share one
    for text in texts(doctree, nodes.paragraph):
        start = 0
        while found := pattern.search(str(text), start):
            target, anchor = places[found.group(1)]
            if anchor in linked:
                start = found.end()
                continue
            linked.add(anchor)
            address = f"{app.builder.get_relative_uri(page, target)}#{anchor}"
            link = nodes.reference("", found.group(), refuri=address, internal=True)
            link["classes"].append("term")
            text, start = replace(text, found, link), 0


def process(app: Any, doctree: nodes.document, page: str) -> None:
    """Sphinx's hook: add the links to a page whose references are resolved."""
    link_papers(doctree)
    if re.fullmatch(r"lessons/\d\d_\w+", page) and app.builder.format == "html":
        link_terms(app, doctree, page)


def setup(app: Any) -> dict[str, bool]:
    """Register the hook with Sphinx."""
    app.connect("doctree-resolved", process)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
