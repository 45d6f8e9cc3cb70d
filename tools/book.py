"""Build the site from the committed outputs: python tools/book.py [FOLDER]

The notebooks lie outside book/, so everything is first copied to one folder, with a table of
contents and an API page per package of the library. Any warning is an error. No notebook is
executed, but the explorers are drawn in all states that their pages offer; the frames are kept in
book/_build/explorers until an explorer's code changes. The site is written to FOLDER/html
(book/_build/html by default).
"""

from __future__ import annotations

import argparse
import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from readme import lessons

from seglib.workshop.static_page import show_without_kernel

ROOT = Path(__file__).resolve().parents[1]
LESSON_MAP = "<!-- lesson map -->"  # in the landing page
CACHE = ROOT / "book" / "_build" / "explorers"
PACKAGES = {
    "errors": "Errors",
    "structures": "Structures",
    "primitives": "The swap registry",
    "ops": "Operations",
    "nn": "Modules",
    "models": "Models",
    "data": "Data",
    "metrics": "Metrics",
    "training": "Training",
    "pretrained": "Pretrained",
    "doctor": "The doctor",
    "plotting": "Plotting",
    "comparison": "Comparison",
    "widgets": "Widgets",
    "workshop": "The workshop",
    "grading": "Grading",
}


def gather(source: Path) -> None:
    """Copy the book and the notebooks to `source` and add the generated pages."""
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(ROOT / "book", source, ignore=shutil.ignore_patterns("_build", "__pycache__"))
    chapters = {}
    for caption, folder in (("Lessons", "lessons"), ("Assignments", "lessons/assignments")):
        names = notebooks(ROOT / folder, source / folder)
        up = "../" * (folder.count("/") + 1) + "_static"
        copies = [source / folder / f"{name}.ipynb" for name in names]
        show_without_kernel(copies, CACHE, source / "_static", up)
        chapters[caption] = [f"{folder}/{name}" for name in names]
    chapters["The library"] = [overview(source)]
    chapters["The library"] += [api_page(name, title, source) for name, title in PACKAGES.items()]
    intro = source / "intro.md"
    intro.write_text(intro.read_text("utf-8").replace(LESSON_MAP, lessons()), "utf-8")
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    for part in toc["parts"]:
        part["chapters"] += [{"file": page} for page in chapters.get(part["caption"], [])]
    toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
    (source / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")


def notebooks(origin: Path, target: Path) -> list[str]:
    """Copy a folder's notebooks and return their names, without suffix."""
    target.mkdir(parents=True, exist_ok=True)
    found = sorted(origin.glob("[0-9]*.ipynb"))
    for notebook in found:
        shutil.copy(notebook, target)
    return [notebook.stem for notebook in found]


def api_page(package: str, title: str, source: Path) -> str:
    """Write the API page of one package, with all its modules, and return its name."""
    lines = [f"# {title}", ""]
    for module in modules(package):
        whole = module == f"seglib.{package}" and (ROOT / "seglib" / package).is_dir()
        lines += [] if whole else ["", f"## {module}", ""]
        lines += ["```{eval-rst}", f".. automodule:: {module}", "```", ""]
        lines += [offered(package), ""] if whole else []
    (source / "api" / f"{package}.md").write_text("\n".join(lines), encoding="utf-8")
    return f"api/{package}"


def overview(source: Path) -> str:
    """Write the page with a line about each package, and return its name."""
    (source / "api").mkdir(exist_ok=True)
    lines = ["# Overview", "", "| Package | Content |", "|---|---|"]
    for package in PACKAGES:
        docstring = ast.get_docstring(ast.parse(entry(package).read_text("utf-8"))) or ""
        lines.append(f"| [`seglib.{package}`]({package}.md) | {docstring.splitlines()[0]} |")
    (source / "api" / "index.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return "api/index"


def entry(package: str) -> Path:
    """The file that is read when a package, or a module beside the packages, is imported."""
    file = ROOT / "seglib" / f"{package}.py"
    return file if file.exists() else ROOT / "seglib" / package / "__init__.py"


def offered(package: str) -> str:
    """A sentence with the names that a package offers, each linked to the module it comes from."""
    links = [
        f"{{py:obj}}`~{node.module}.{name.name}`"
        for node in ast.parse(entry(package).read_text("utf-8")).body
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(f"seglib.{package}.")
        for name in node.names
    ]
    return f"`from seglib.{package} import …` offers {', '.join(links)}." if links else ""


def modules(package: str) -> list[str]:
    """The documented modules of a package: the package itself, then its files by name."""
    first = entry(package)
    files = sorted(first.parent.rglob("*.py")) if first.stem == "__init__" else [first]
    names = []
    for path in files:
        if path.stem == "__main__" or not ast.get_docstring(ast.parse(path.read_text("utf-8"))):
            continue
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    return names


def main() -> int:
    """Build the site; returns the builder's exit status."""
    parser = argparse.ArgumentParser(description="Build the site from the committed outputs.")
    parser.add_argument(
        "folder",
        nargs="?",
        type=Path,
        default=ROOT / "book" / "_build",
        help="the site is written to FOLDER/html (default: book/_build)",
        metavar="FOLDER",
    )
    output = parser.parse_args().folder.resolve()
    gather(output / "source")
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", str(output / "source")]
    command += ["--path-output", str(output), "--warningiserror", "--keep-going", "--quiet"]
    status = subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": "0"}).returncode
    built = output / "_build" / "html"
    if status == 0:
        shutil.rmtree(output / "html", ignore_errors=True)
        shutil.move(built, output / "html")
        print(f"the site is at {output / 'html' / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
