"""Imports run one way: from later layers to earlier ones, from newer paradigms to older ones."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "seglib"
# A package (or single module) may import from the layers before its own, and within its layer
# from the packages that ALLOWED_BESIDE names.
LAYERS = (
    ("errors", "counted"),
    ("primitives", "structures", "atomic", "distributed", "json_files", "devices"),
    ("locks",),
    ("ops",),
    ("nn",),
    ("models",),
    ("data", "metrics", "training", "pretrained"),
    ("doctor",),
    ("plotting",),
    ("comparison",),
    ("widgets",),
    ("workshop",),
    ("grading",),
    ("cli",),
)
LEVEL = {package: level for level, layer in enumerate(LAYERS) for package in layer}
ALLOWED_BESIDE = {
    "metrics": {"data"},
    "training": {"data", "metrics", "pretrained"},
    "pretrained": {"data", "metrics"},
}
# A paradigm in models/ may import those before it; what they share imports none of them.
PARADIGMS = (
    "fcn",
    "deepmask",
    "rcnn",
    "mask_rcnn",
    "cascade_rcnn",
    "yolact",
    "solo",
    "polarmask",
    "detr",
    "maskformer",
)


def package_of(module: str) -> str:
    """`seglib.ops.boxes` belongs to `ops`, and `seglib` itself to ``."""
    return [*module.split("."), ""][1]


def paradigm_of(module: str) -> str | None:
    """`seglib.models.fcn.model` belongs to `fcn`, `seglib.models.base` to no paradigm."""
    parts = [*module.split("."), "", ""]
    return parts[2] if parts[1] == "models" and parts[2] in PARADIGMS else None


def imports(source: str, module: str, is_package: bool = False) -> set[str]:
    """Everything of seglib that a source text imports, at any depth, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [node.module] if node.module else []
            if node.level:
                parents = module.split(".")
                base = [*parents[: len(parents) - node.level + is_package], *base]
            found |= {".".join([*base, alias.name]) for alias in node.names}
    return {name for name in found if name.split(".")[0] == "seglib"}


def upward_imports(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of one module from a later layer, or from a forbidden package beside it."""
    package, bad = package_of(module), []
    for target in sorted(imports(source, module, is_package)):
        other = package_of(target)
        if other == package or other not in LEVEL:
            continue
        beside = LEVEL[other] == LEVEL[package] and other in ALLOWED_BESIDE.get(package, set())
        if LEVEL[other] >= LEVEL[package] and not beside:
            bad.append(f"{module} imports {target}")
    return bad


def newer_paradigms(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of one module in models/ from a newer paradigm, or from any if it is shared."""
    own, bad = paradigm_of(module), []
    newest = PARADIGMS.index(own) if own else -1
    for target in sorted(imports(source, module, is_package)):
        other = paradigm_of(target)
        if other and PARADIGMS.index(other) > newest:
            bad.append(f"{module} imports {target}")
    return bad


def modules() -> list[tuple[str, str, bool]]:
    """Source text, dotted name, and whether it is an `__init__.py`, of every module of seglib."""
    found = []
    for path in sorted(ROOT.rglob("*.py")):
        parts = ["seglib", *path.relative_to(ROOT).with_suffix("").parts]
        name = ".".join(part for part in parts if part != "__init__")
        found.append((path.read_text("utf-8"), name, path.name == "__init__.py"))
    return found


def test_every_package_has_a_layer():
    packages = {package_of(name) for _, name, _ in modules()} - {""}
    assert packages == set(LEVEL)


def test_every_folder_of_models_is_a_paradigm_with_a_place_in_the_order():
    assert {path.parent.name for path in ROOT.glob("models/*/__init__.py")} == set(PARADIGMS)


def test_no_package_imports_upwards():
    bad = [
        line for module in modules() if package_of(module[1]) for line in upward_imports(*module)
    ]
    assert not bad, "\n".join(bad)


def test_no_paradigm_imports_a_newer_one_and_what_they_share_imports_none():
    inside = [module for module in modules() if package_of(module[1]) == "models"]
    bad = [line for module in inside for line in newer_paradigms(*module)]
    assert len(inside) > 20
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize(
    ("source", "module"),
    [
        ("from seglib.models import fcn", "seglib.ops.boxes"),
        ("def f():\n    import seglib.data.coco", "seglib.models.fcn.model"),
        ("from seglib import training", "seglib.metrics.evaluate"),
        ("from ..plotting import style", "seglib.data.coco"),
        ("from ..models.fcn import FCN", "seglib.nn.layers"),
    ],
)
def test_an_upward_import_is_caught(source, module):
    assert len(upward_imports(source, module)) == 1


def test_a_downward_import_is_allowed():
    source = "from seglib.ops.boxes import box_iou\nfrom ..base import Segmenter\nimport torch"
    assert upward_imports(source, "seglib.models.fcn.model") == []


@pytest.mark.parametrize(
    ("source", "module"),
    [
        (
            "from seglib.models.cascade_rcnn.model import CascadeRCNN",
            "seglib.models.mask_rcnn.model",
        ),
        ("from seglib.models import mask_rcnn", "seglib.models.rcnn.model"),
        ("import seglib.models.rcnn.warp", "seglib.models.deepmask.patches"),
        ("from ..deepmask import windows", "seglib.models.fcn.model"),
        ("def f():\n    from seglib.models.fcn import FCN", "seglib.models.base"),
        ("from .fcn.config import FCNConfig", "seglib.models.config"),
        ("from seglib.models.rcnn import fitting", "seglib.models.targets"),
    ],
)
def test_a_newer_paradigm_is_caught(source, module):
    assert len(newer_paradigms(source, module)) == 1


def test_the_table_of_models_must_not_import_a_paradigm_itself():
    source = "from .fcn import FCN\nfrom seglib.models.base import Segmenter"
    caught = newer_paradigms(source, "seglib.models", is_package=True)
    assert caught == ["seglib.models imports seglib.models.fcn.FCN"]


def test_an_older_paradigm_and_the_shared_modules_are_allowed():
    source = (
        "from seglib.models.mask_rcnn.model import MaskRCNN\n"
        "from seglib.models.cascade_rcnn.config import CascadeRCNNConfig\n"
        "from ..base import Segmenter\nfrom seglib.models.targets import instance_targets"
    )
    assert newer_paradigms(source, "seglib.models.cascade_rcnn.model") == []
