"""A tour as one Markdown page, for the course's site, a README or an issue."""

from __future__ import annotations

from typing import Any

from seglib.comparison.tables import TextTable, accuracy_table, cost_table
from seglib.comparison.tour import Tour

TITLE = "Every paradigm on the same pictures"
LEGEND = (
    "An object has one colour in all pictures of a row; a mask is grey if it overlaps no true "
    "object. Each network shows as many instances as there are true objects, those of which it is "
    "surest, since scores of different networks cannot be compared. A label map gives all objects "
    "of a class the colour of the first one, since it cannot tell them apart. Proposals have no "
    "classes; the best ten are shown."
)


def markdown(tour: Tour, made: dict[str, Any], picture: str = "tour.png") -> str:
    """The page of a tour; arguments as for `page`, and the address of the picture."""
    kinds = ", ".join(each.kind for each in tour.pictures)
    columns = "; ".join(f"{stop.title}: {stop.shown}" for stop in tour.stops)
    programs = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    lines = [
        f"# {TITLE}",
        "",
        f"![Rows: images ({kinds}). Columns: the image, the truth, and what each network finds "
        f"({columns}).]({picture})",
        "",
        LEGEND,
        *_section(accuracy_table(tour)),
        *_section(cost_table(tour)),
        "",
        f"Made by `{made['command']}` ({programs}).",
        "",
    ]
    return "\n".join(lines)


def _section(table: TextTable) -> list[str]:
    """The lines of a section: heading, table, notes."""
    rule = [":--", *["--:"] * (len(table.headings) - 1)]
    rows = [f"| {' | '.join(cells)} |" for cells in (table.headings, rule, *table.rows)]
    return ["", f"## {table.title}", "", *rows, "", " ".join(table.notes)]
