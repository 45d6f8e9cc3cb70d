"""A tour as one self-contained HTML page, with its pictures inside and readable on a phone."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

from PIL import Image

from seglib.comparison.markdown import LEGEND, TITLE
from seglib.comparison.pictures import Picture
from seglib.comparison.tables import TextTable, accuracy_table, cost_table
from seglib.comparison.tour import Tour
from seglib.plotting.canvas import Bytes, as_rgb
from seglib.plotting.paradigms import paint_prediction, paint_truth

SIDE = 256  # px of a picture's longer side
QUALITY = 80  # of WebP

STYLE = """
:root { color-scheme: light dark; --ink: #262626; --paper: #fff; --soft: #5c5c5c; --line: #d9d9d9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #ececec; --paper: #16181b; --soft: #b4b4b4; --line: #44474c; }
}
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 1.5rem auto;
  padding: 0 1rem; color: var(--ink); background: var(--paper); }
h1 { font-size: 1.5rem; line-height: 1.2; }
h2 { font-size: 1.15rem; margin: 2rem 0 0.4rem; }
p { margin: 0.4rem 0; } code { overflow-wrap: anywhere; }
.soft, .note { color: var(--soft); font-size: 0.9rem; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(11rem, 45%), 1fr));
  gap: 0.6rem; }
figure { margin: 0; } img { width: 100%; height: auto; display: block; }
figcaption { font-size: 0.9rem; line-height: 1.25; margin-top: 0.2rem; }
figcaption span { color: var(--soft); display: block; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
th, td { padding: 0.25rem 0.6rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th:first-child { text-align: left; position: sticky; left: 0; background: var(--paper); }
thead th { color: var(--soft); }
"""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def page(tour: Tour, made: dict[str, Any]) -> str:
    """The page of a tour.

    Args:
        tour: what `take_tour` returned.
        made: the "command" that made it and the "versions" of the programs.
    """
    programs = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    body = [
        f"<h1>{TITLE}</h1>",
        f'<p class="soft">Made by <code>{escape(made["command"])}</code> ({escape(programs)})</p>',
        f"<p>{LEGEND}</p>",
    ]
    for number, picture in enumerate(tour.pictures):
        body += _section(tour, number, picture)
    body += [*_table(accuracy_table(tour)), *_table(cost_table(tour))]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{TITLE}</title>\n<style>{STYLE}</style>",
            "</head>\n<body>\n<main>",
            *body,
            "</main>\n</body>\n</html>\n",
        ]
    )


def _section(tour: Tour, number: int, picture: Picture) -> list[str]:
    """One picture: the image, the truth with names, and what every model finds."""
    image, target, classes = picture.image, picture.target, tour.categories
    truth = paint_truth(image, target, classes, SIDE, names=True)
    figures = [_figure(as_rgb(image), "Image", ""), _figure(truth, "Truth", "")]
    for stop in tour.stops:
        painted = paint_prediction(image, stop.predictions[number], target, classes, 0.0, SIDE)
        figures.append(_figure(painted, stop.title, stop.shown))
    heading = f"<h2>Picture {number + 1}: {escape(picture.kind)}</h2>"
    return [heading, '<div class="pictures">', *figures, "</div>"]


def _figure(pixels: Bytes, title: str, shown: str) -> str:
    """The HTML of a picture with its caption."""
    picture, stream = Image.fromarray(pixels), io.BytesIO()
    picture.save(stream, "WEBP", quality=QUALITY, method=6)
    data = base64.b64encode(stream.getvalue()).decode()
    alt = escape(f"{title}: {shown}" if shown else title)
    detail = f"<span>{escape(shown)}</span>" if shown else ""
    return (
        f'<figure><img src="data:image/webp;base64,{data}" alt="{alt}" width="{picture.width}" '
        f'height="{picture.height}"><figcaption>{escape(title)}{detail}</figcaption></figure>'
    )


def _table(table: TextTable) -> list[str]:
    """The HTML of a table, in a box with its own scroll bar, and of its notes."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in table.headings)
    rows = []
    for name, *cells in table.rows:
        numbers = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{numbers}</tr>')
    return [
        f"<h2>{escape(table.title)}</h2>",
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(table.title)}">',
        f"<table><thead><tr>{head}</tr></thead><tbody>",
        *rows,
        "</tbody></table></div>",
        *(f'<p class="note">{escape(note)}</p>' for note in table.notes),
    ]
