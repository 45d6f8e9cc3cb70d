"""What tests read off a figure."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.text import Text


def words(fig: Figure) -> list[str]:
    """Every text in a figure: titles, labels, numbers, captions."""
    return [t.get_text() for t in fig.findobj(Text) if t.get_text()]
