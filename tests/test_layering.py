"""Imports run one way: no room of seglib reaches up (design: primitives ← ops ← … ← cli)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "seglib"
# Each row may import from the rows above it, and from itself what ALLOWED_BESIDE names.
ROWS = (
    ("errors", "primitives", "structures", "atomic", "distributed"),
    ("ops",),
    ("nn",),
    ("models",),
    ("data", "metrics", "training", "pretrained"),
    ("plotting",),
    ("widgets",),
    ("workshop",),
    ("grading", "cli"),
)
LEVEL = {room: level for level, row in enumerate(ROWS) for room in row}
ALLOWED_BESIDE = {
    "errors": set(),
    "primitives": {"errors"},
    "structures": {"errors"},
    "atomic": {"errors"},
    "distributed": set(),
    "data": set(),
    "metrics": {"data"},
    "training": {"data", "metrics", "pretrained"},
    "pretrained": {"data", "metrics"},
    "cli": {"grading"},
}


def room_of(module: str) -> str:
    """`seglib.ops.boxes` lies in `ops`."""
    return [*module.split("."), ""][1]


def imports(source: str, module: str, is_package: bool) -> set[str]:
    """Every seglib module that a source text imports, wherever in it the import stands."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")
                parents = parents[: len(parents) - node.level + is_package]
                base = ".".join([*parents, *filter(None, [base])])
            found |= {base} if base != "seglib" else {f"seglib.{a.name}" for a in node.names}
    return {name for name in found if name.split(".")[0] == "seglib"}


def violations(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of one module that reach up or sideways."""
    room, bad = room_of(module), []
    for target in imports(source, module, is_package):
        other = room_of(target)
        if other in ("", room) or other not in LEVEL:
            continue
        beside = LEVEL[other] == LEVEL[room] and other in ALLOWED_BESIDE.get(room, set())
        if LEVEL[other] >= LEVEL[room] and not beside:
            bad.append(f"{module} imports {target}")
    return bad


def modules() -> list[tuple[Path, str]]:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ["seglib", *path.relative_to(PACKAGE).with_suffix("").parts]
        found.append((path, ".".join(p for p in parts if p != "__init__")))
    return found


def test_every_room_has_its_place():
    rooms = {room_of(name) for _, name in modules()} - {""}
    assert rooms <= set(LEVEL), f"rooms that the layering does not know: {rooms - set(LEVEL)}"


def test_no_room_reaches_up():
    bad = []
    for path, module in modules():
        if room_of(module):
            bad += violations(path.read_text("utf-8"), module, path.name == "__init__.py")
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from seglib.models import fcn", "seglib.ops.boxes"),
        ("def f():\n    import seglib.data.coco", "seglib.models.fcn"),
        ("from seglib import training", "seglib.metrics.evaluate"),
        ("from ..plotting import style", "seglib.data.coco"),
        ("from ..models.fcn import FCN", "seglib.nn.layers"),
    ],
)
def test_the_check_catches_an_upward_import(source, module):
    assert len(violations(source, module)) == 1


def test_the_check_lets_a_downward_import_pass():
    source = "from seglib.ops.boxes import box_iou\nfrom .base import Segmenter\nimport torch"
    assert violations(source, "seglib.models.fcn") == []
