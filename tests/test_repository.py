"""The committed files: small, portable, documented, up to date, and free of real photographs."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import nbformat
import pytest

from tests.helpers import ROOT

MEGABYTE = 1_000_000
LARGEST = {".ipynb": 2 * MEGABYTE, ".safetensors": 6 * MEGABYTE}
CHECKPOINTS = 60 * MEGABYTE
EVERYTHING = 150 * MEGABYTE
GENERATED = re.compile(
    r"(^|/)(__pycache__|\.ipynb_checkpoints|\.DS_Store|[^/]*\.egg-info)(/|$)|\.pyc$"
)
# Folders of one machine, written so that the pattern does not match this file.
MACHINE = re.compile(r"(?<![\w.~$])/(work|root|home/\w+|Users/\w+)/(main|shared|\.venv|Desktop)\b")
TEXT = {
    ".py",
    ".md",
    ".toml",
    ".yml",
    ".yaml",
    ".json",
    ".ipynb",
    ".cfg",
    ".lock",
    ".txt",
    ".bib",
    ".cff",
}
VENDORED = "book/_static/vendor/"
# Modules that were renamed or moved, by the package they used to be in.
FORMER_MODULES = {
    "seglib": "lessons",
    "seglib.data": "atomic",
    "seglib.metrics": "window_proposals",
    "seglib.models": "config_checks deepmask_config fcn_config fcn_networks instance_targets "
    "mask_rcnn_config rcnn_parts step_cost",
    "seglib.models.deepmask": "canonical sliding_linear soft_margin",
    "seglib.models.mask_rcnn": "heads levels proposals reference_rules sampling",
    "seglib.nn": "box_sampling distributed geometry init patch_sampling precision reference_rules "
    "roi_heads rpn sliding window_network",
    "seglib.ops": "box_coder canonical graph_segmentation grouping levels linear_fits matching "
    "patches proposals rcnn_losses region_likeness region_warp soft_margin",
    "seglib.plotting": "cascade fitting",
    "seglib.training": "distributed losses precision",
}
# Modules that became packages of the same name, so that only their files' names are former ones.
FORMER_FILES = re.compile(r"\bmodels/(?:cascade_rcnn|deepmask|fcn|mask_rcnn|rcnn)\.py\b")


@cache
def committed() -> tuple[Path, ...]:
    """The tracked files that exist; skips the test where there is no git."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return tuple(
        ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()
    )


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_files_are_small():
    for path in committed():
        limit = LARGEST.get(path.suffix, 6 * MEGABYTE)
        assert path.stat().st_size <= limit, f"{relative(path)} is over {limit / MEGABYTE:.0f} MB"
    checkpoints = sum(p.stat().st_size for p in committed() if p.suffix == ".safetensors")
    assert checkpoints <= CHECKPOINTS
    assert sum(path.stat().st_size for path in committed()) <= EVERYTHING


def test_no_generated_files_are_committed():
    assert [relative(p) for p in committed() if GENERATED.search(relative(p))] == []


def texts() -> list[tuple[str, str]]:
    """Name and content of every committed text file that is not vendored."""
    return [
        (relative(path), path.read_text("utf-8", errors="replace"))
        for path in committed()
        if (path.suffix in TEXT or path.name in ("Makefile", "Dockerfile", "postBuild", "start"))
        and not relative(path).startswith(VENDORED)
    ]


def test_no_file_names_a_folder_of_one_machine():
    bad = [f"{name}: {found.group()}" for name, text in texts() if (found := MACHINE.search(text))]
    assert not bad, "\n".join(bad)


def former_modules(text: str) -> list[str]:
    """Where a text mentions a module by its former path, dotted, imported or as a file."""
    found = FORMER_FILES.findall(text)
    for package, names in FORMER_MODULES.items():
        module = rf"\b(?:{'|'.join(names.split())})\b"
        dotted, folder = re.escape(package), package.replace(".", "/")
        ways = (
            rf"{dotted}\.{module}",
            rf"from {dotted} import (?:\([^)]*?|[^\n(]*?){module}",
            rf"{folder}/{module}",
            rf"\b{folder.removeprefix('seglib/')}/{module}\.py",
        )
        found += [match.group() for way in ways for match in re.finditer(way, text)]
    return found


@pytest.mark.parametrize(
    "text",
    [
        "from seglib.{} import build_lesson",
        "`seglib/{}/build.py`",
        "from seglib import metrics, {}",
        "from seglib import (\n    metrics,\n    {},\n)",
    ],
)
def test_a_former_module_is_caught(text):
    old, new = text.format("lessons"), text.format("workshop")
    assert len(former_modules(old)) == 1
    assert former_modules(new) == []


def test_former_modules_no_longer_exist():
    for package, names in FORMER_MODULES.items():
        folder = ROOT / package.replace(".", "/")
        left = [
            name
            for name in names.split()
            if [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/__init__.py")]
        ]
        assert left == [], f"{package} has these modules again: take them off the list"


def test_no_file_mentions_a_module_by_its_former_path():
    """The changelog lists the moves."""
    bad = [
        f"{name}: {found}"
        for name, text in texts()
        if name != "CHANGELOG.md"
        for found in former_modules(text)
    ]
    assert not bad, "\n".join(bad)


def test_the_lock_file_has_versions_and_no_addresses():
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    versions = [line for line in lines if line and not line.startswith("#")]
    assert len(versions) > 100
    odd = [
        v for v in versions if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*==[\w.!]+", v, re.IGNORECASE)
    ]
    assert not odd, f"not of the form name==version: {odd}"


def test_the_lock_file_satisfies_pyproject():
    import tomllib

    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (ROOT / "requirements.lock").read_text("utf-8").splitlines()
    locked = dict(line.split("==") for line in lines if "==" in line and not line.startswith("#"))
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    for text in [*project["dependencies"], *extras]:
        need = Requirement(text)
        if need.name == "seglib":
            continue
        version = locked.get(canonicalize_name(need.name))
        assert version, f"{need.name} is not in requirements.lock: run `make lock`"
        assert need.specifier.contains(version, prereleases=True), f"{need}, but locked: {version}"


def test_notebooks_contain_no_output_from_real_coco():
    for path in committed():
        if path.suffix == ".ipynb":
            notebook = nbformat.read(path, as_version=4)
            outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
            dataset = notebook.metadata.get("seglib", {}).get("dataset")
            assert not outputs or dataset == "pocket", (
                f"{relative(path)} has outputs of {dataset!r}"
            )


def test_no_photographs_are_committed():
    """Real COCO images are JPEGs named by twelve digits, or lie in folders such as train2017."""
    name = re.compile(r"(^|/)(COCO_)?(train|val)20\d\d|/\d{12}\.jpe?g$")
    assert [relative(p) for p in committed() if name.search(relative(p))] == []


def undocumented(tree: ast.Module) -> list[str]:
    """Public functions, classes and methods of a module without a docstring."""
    names = [] if ast.get_docstring(tree) else ["the module"]
    spaces: list[ast.AST] = [tree]
    while spaces:
        for node in getattr(spaces.pop(), "body", []):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                continue
            overload = any("overload" in ast.unparse(d) for d in node.decorator_list)
            if not node.name.startswith("_") and not ast.get_docstring(node) and not overload:
                names.append(node.name)
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                spaces.append(node)
    return names


def test_everything_public_is_documented():
    bad = []
    for path in sorted((ROOT / "seglib").rglob("*.py")):
        tree = ast.parse(path.read_text("utf-8"))
        if tree.body:
            bad += [f"{relative(path)}: {name}" for name in undocumented(tree)]
    assert not bad, "\n".join(bad)


def test_a_missing_docstring_is_caught():
    source = '"""M."""\nclass A:\n    "A."\n    def f(self): ...\n    def _g(self): ...\n'
    source += "def h(): ..."
    assert sorted(undocumented(ast.parse(source))) == ["f", "h"]


def test_licences_are_included():
    assert "MIT License" in (ROOT / "LICENSE").read_text("utf-8")
    assert "CC BY 4.0" in (ROOT / "LICENSE-lessons").read_text("utf-8")


def test_every_cited_paper_is_in_the_books_references() -> None:
    cited = re.compile(r"arXiv[: ]+(\d{4}\.\d{4,5})")
    known = set(cited.findall((ROOT / "book" / "references.bib").read_text(encoding="utf-8")))
    files = [*(ROOT / "lessons" / "source").rglob("*.py"), *(ROOT / "seglib").rglob("*.py")]
    missing = {
        number: file.relative_to(ROOT).as_posix()
        for file in files
        for number in cited.findall(file.read_text(encoding="utf-8"))
        if number not in known
    }
    assert len(known) > 20
    assert missing == {}, "add these to book/references.bib"
