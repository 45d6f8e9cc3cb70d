"""Make the site's page of results: python tools/results_page.py [TOUR]

Runs `seglib tour`, or reads the folder TOUR of an earlier one, and writes book/results.md and
book/images/tour.png. The page shows the times of this machine, which should do nothing else.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

# The picture needs the width of the window, and scrolls in its box on a narrow one.
WIDE = "---\nhtml_theme.sidebar_secondary.remove: true\n---\n\n"
BOX = '<div class="wide-picture" role="group" tabindex="0" aria-label="figure">\n\n{}\n\n</div>'
BOOK = Path(__file__).resolve().parents[1] / "book"


def main() -> int:
    """Write the page; returns the status of the tour."""
    if len(sys.argv) > 1:
        copy(Path(sys.argv[1]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "seglib.cli", "tour", "--out", folder]
        status = subprocess.run(command).returncode
        if status == 0:
            copy(Path(folder))
    return status


def copy(tour: Path) -> None:
    """Copy the text and the picture of a tour into the book."""
    text = (tour / "tour.md").read_text(encoding="utf-8")
    picture = re.search(r"^!\[.*\]\(tour\.png\)$", text, re.MULTILINE)
    if picture is None:
        raise SystemExit(f"{tour / 'tour.md'} shows no tour.png")
    boxed = BOX.format(picture[0].replace("](tour.png)", "](images/tour.png)"))
    page = WIDE + text.replace(picture[0], boxed)
    (BOOK / "results.md").write_text(page, encoding="utf-8")
    (BOOK / "images" / "tour.png").write_bytes((tour / "tour.png").read_bytes())


if __name__ == "__main__":
    sys.exit(main())
