"""Write the generated parts of README.md: python tools/readme.py

They are between `<!-- begin NAME -->` and `<!-- end NAME -->`: the lesson map, with the times
stated in the lessons and the recorded figures of the shipped checkpoints, and the buttons that open
the course in a browser. Also writes the badges in book/images/badges.

The buttons need the repository's public address, `repository` in pyproject.toml's [tool.seglib]. As
long as it is empty, there are no buttons.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from seglib import pretrained

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BADGES = ROOT / "book" / "images" / "badges"
FIRST = "lessons/00_start_here.ipynb"
# Lesson of a paradigm → its shipped checkpoint and the figure by which it is measured.
PARADIGMS = {
    "04_fcn": ("fcn-8s", "mean_iou"),
    "05_deepmask": ("deepmask", "mask_AR@100"),
    "07_mask_rcnn": ("mask_rcnn", "mask_AP"),
    "08_cascade_rcnn": ("cascade_rcnn", "mask_AP"),
    "09_yolact": ("yolact", "mask_AP"),
    "10_solo": ("solo", "mask_AP"),
    "11_polarmask": ("polarmask", "mask_AP"),
    "12_detr": ("detr", "mask_AP"),
    "13_maskformer": ("maskformer", "mask_AP"),
}
COLUMNS = 3  # of the README's map
MEASURES = {"mean_iou": "mean IoU", "mask_AR@100": "mask AR", "mask_AP": "mask AP"}


def project() -> dict[str, Any]:
    """The content of pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def buttons() -> str:
    """Links that open the course in Colab, Codespaces and Binder, or nothing without an address."""
    address = project()["tool"]["seglib"]["repository"]
    if not address:
        return ""
    name = address.removeprefix("https://github.com/").removesuffix("/")
    places = {
        "Open in Colab": f"https://colab.research.google.com/github/{name}/blob/main/{FIRST}",
        "Open in Codespaces": f"https://codespaces.new/{name}",
        "Open in Binder": f"https://mybinder.org/v2/gh/{name}/main?urlpath=lab/tree/{FIRST}",
    }
    return " · ".join(f"**[{text}]({target})**" for text, target in places.items())


def lessons() -> str:
    """A table with a row per lesson: title, minutes to read and to solve, its model's figures."""
    rows = [
        "| Lesson | Read | Assignment | Its model reaches | Ceiling |",
        "|---|---|---|---|---|",
    ]
    rows += [f"| {' | '.join(cells)} |" for cells in lesson_cells()]
    return "\n".join(rows)


def lesson_grid() -> str:
    """The same as a compact table with three lessons per row."""
    cells = []
    for link, read, task, figure, ceiling in lesson_cells():
        times = " + ".join(each.removesuffix(" min") for each in (read, task) if each)
        reached = f"<br>{figure} of {ceiling}" if figure else ""
        cells.append(f"{link}<br>{times} min{reached}")
    cells += [""] * (-len(cells) % COLUMNS)
    rows = [" | ".join(cells[i : i + COLUMNS]) for i in range(0, len(cells), COLUMNS)]
    return "\n".join([f"|{' |' * COLUMNS}", f"|{'---|' * COLUMNS}", *(f"| {r} |" for r in rows)])


def lesson_cells() -> list[tuple[str, str, str, str, str]]:
    """For each lesson, its link, both times, and its model's figure and ceiling, if any."""
    found = []
    for source in sorted((ROOT / "lessons" / "source").glob("[0-9][0-9]_*.py")):
        text = source.read_text("utf-8")
        number, title = _only(r"^# # (\d\d)\. (.+)$", text)
        start = " ".join(line.removeprefix("# ") for line in text.split("# %%")[1].splitlines())
        (read,) = _only(r"about (\d+) minutes to read\b", start)
        link = f"[{number} {title}](lessons/{source.stem}.ipynb)"
        found.append((link, f"{read} min", exercises(source.stem), *figures(source.stem)))
    return found


def figures(lesson: str) -> tuple[str, str]:
    """The figure of a lesson's shipped checkpoint and its ceiling, or nothing without one."""
    if lesson not in PARADIGMS:
        return "", ""
    name, measure = PARADIGMS[lesson]
    record = pretrained.record(name)
    ceiling = record["ceilings"][measure]["ceiling"]
    return f"{MEASURES[measure]} {record['figures'][measure]:.3f}", f"{ceiling:.3f}"


def exercises(lesson: str) -> str:
    """The time that the tasks of a lesson's assignment take, or nothing without an assignment."""
    master = ROOT / "lessons" / "source" / "assignments" / f"{lesson}.py"
    if not master.is_file():
        return ""
    stated = re.findall(r"^# \*\d+ points? .* (\d+) minutes\*$", master.read_text("utf-8"), re.M)
    if not stated:
        raise SystemExit(f"{master} states no minutes")
    return f"{sum(map(int, stated))} min"


def _only(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"nothing matches {pattern!r} in a lesson that begins {text[:60]!r}")
    return found.groups()


BLOCKS: dict[str, Callable[[], str]] = {"buttons": buttons, "lessons": lesson_grid}


def filled(text: str) -> str:
    """The README with every generated part rewritten."""
    for name, write in BLOCKS.items():
        pattern = rf"(<!-- begin {name}\b[^>]*-->\n).*?(<!-- end {name} -->)"
        if not re.search(pattern, text, re.DOTALL):
            raise SystemExit(f"README.md has no part called {name}")
        content = write()
        part = content + "\n" if content else ""
        text = re.sub(pattern, lambda m, p=part: m[1] + p + m[2], text, flags=re.DOTALL)
    return text


def badges() -> dict[str, str]:
    """File name → SVG; each says something that pyproject.toml or the Makefile states."""
    settings = project()["project"]
    oldest, next_one = re.findall(r"3\.(\d+)", settings["requires-python"])
    versions = f"3.{oldest} to 3.{int(next_one) - 1}"
    return {
        "python.svg": badge("Python", versions, "#0072B2"),
        "licence.svg": badge("licence", f"{settings['license']}, lessons CC BY 4.0", "#007a5a"),
        "tests.svg": badge("tests", "make test", "#6B6B6B"),
    }


def badge(subject: str, text: str, color: str) -> str:
    """A small SVG with a grey and a coloured half."""
    widths = [round(6.4 * len(part)) + 14 for part in (subject, text)]
    total, middles = sum(widths), (widths[0] / 2, widths[0] + widths[1] / 2)
    words = "".join(
        f'<text x="{x}" y="14" text-anchor="middle">{part}</text>'
        for x, part in zip(middles, (subject, text), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" '
        f'aria-label="{subject}: {text}">'
        f'<rect width="{total}" height="20" rx="3" fill="#3b3b3b"/>'
        f'<path d="M{widths[0]} 0h{widths[1] - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3H{widths[0]}z" '
        f'fill="{color}"/>'
        f'<g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">{words}</g>'
        "</svg>\n"
    )


def main() -> None:
    """Write README.md and the badges."""
    README.write_text(filled(README.read_text("utf-8")), "utf-8", newline="\n")
    BADGES.mkdir(exist_ok=True)
    for name, content in badges().items():
        (BADGES / name).write_text(content, "utf-8", newline="\n")


if __name__ == "__main__":
    main()
