"""Write the generated parts of README.md: python tools/readme.py

They stand between `<!-- begin NAME -->` and `<!-- end NAME -->`: the lesson map, from the lessons'
own statements; the measured figures, from the records of the shipped checkpoints; and the buttons
that open the course in a browser. Also writes the badges in book/images/badges.

The buttons need the repository's public address, `repository` in pyproject.toml's [tool.seglib].
While it is empty, there are none.
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
# The checkpoints of a paradigm's training, the last of which is measured; its name, lesson and
# measure.
PARADIGMS = (
    (("fcn-32s", "fcn-16s", "fcn-8s"), "FCN-8s", 4, "mean_iou"),
    (("deepmask",), "DeepMask", 5, "mask_AR@100"),
    (("mask_rcnn",), "Mask R-CNN", 7, "mask_AP"),
    (("cascade_rcnn",), "Cascade R-CNN", 8, "mask_AP"),
    (("yolact",), "YOLACT", 9, "mask_AP"),
    (("solo",), "SOLOv2", 10, "mask_AP"),
    (("polarmask",), "PolarMask", 11, "mask_AP"),
    (("detr",), "DETR", 12, "mask_AP"),
    (("maskformer",), "MaskFormer", 13, "mask_AP"),
)
MEASURES = {"mean_iou": "mean IoU", "mask_AR@100": "mask AR, 100 proposals", "mask_AP": "mask AP"}


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
    """A row for each lesson: its title, and the minutes to read, to run and for its assignment."""
    rows = ["| Lesson | Read | Run | Assignment |", "|---|---|---|---|"]
    for source in sorted((ROOT / "lessons" / "source").glob("[0-9][0-9]_*.py")):
        text = source.read_text("utf-8")
        number, title = _only(r"^# # (\d\d)\. (.+)$", text)
        start = " ".join(line.removeprefix("# ") for line in text.split("# %%")[1].splitlines())
        read, run = _only(r"about (\d+) minutes to read, (.+?) to run\b", start)
        link = f"[{number} {title}](lessons/{source.stem}.ipynb)"
        rows.append(f"| {link} | {read} min | {run} | {exercises(source.stem)} |")
    return "\n".join(rows)


def exercises(lesson: str) -> str:
    """The time that the tasks of a lesson's assignment take, or nothing without an assignment."""
    master = ROOT / "lessons" / "source" / "assignments" / f"{lesson}.py"
    if not master.is_file():
        return ""
    stated = re.findall(r"^# \*\d+ points? .* (\d+) minutes\*$", master.read_text("utf-8"), re.M)
    if not stated:
        raise SystemExit(f"{master} states no minutes")
    return f"{len(stated)} tasks, {sum(map(int, stated))} min"


def _only(pattern: str, text: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"nothing matches {pattern!r} in a lesson that begins {text[:60]!r}")
    return found.groups()


def results() -> str:
    """A row for each paradigm with a shipped checkpoint: its figures, size and training."""
    rows = [
        "| Paradigm | Lesson | Measure | Score | Ceiling | AP50 | Parameters | Training |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for runs, title, lesson, measure in PARADIGMS:
        records = [pretrained.record(name) for name in runs]
        figures, last = records[-1]["figures"], records[-1]
        cells = [
            title,
            f"{lesson:02d}",
            MEASURES[measure],
            f"{figures[measure]:.3f}",
            f"{last['ceilings'][measure]['ceiling']:.3f}",
            f"{figures['mask_AP50']:.3f}" if measure == "mask_AP" else "",
            f"{last['parameters'] / 1e6:.2f} M",
            f"{sum(record['minutes'] for record in records):.0f} min, {device(last)}",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def device(record: dict[str, Any]) -> str:
    """Where a checkpoint was trained."""
    return "GPU" if record.get("device") == "cuda" else "CPU"


BLOCKS: dict[str, Callable[[], str]] = {
    "buttons": buttons,
    "lessons": lessons,
    "results": results,
}


def filled(text: str) -> str:
    """The README with every generated part written anew."""
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
