"""The import paths that lessons and assignments use exist, and so do those promised to users."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

SOURCES = Path(__file__).resolve().parents[1] / "lessons" / "source"
PROMISED = {
    "seglib": "SeglibError ops use",
    "seglib.data": "from_ultralytics load_dataset to_ultralytics",
    "seglib.metrics": "evaluate",
    "seglib.models": "build_model",
    "seglib.models.cascade_rcnn": "CascadeRCNN CascadeRCNNConfig",
    "seglib.models.deepmask": "DeepMask DeepMaskConfig",
    "seglib.models.detr": "DETR DETRConfig",
    "seglib.models.fcn": "FCN FCNConfig",
    "seglib.models.mask_rcnn": "MaskRCNN MaskRCNNConfig",
    "seglib.models.maskformer": "MaskFormer MaskFormerConfig",
    "seglib.models.yolact": "YOLACT YOLACTConfig",
    "seglib.models.solo": "SOLO SOLOConfig",
    "seglib.ops": "box_iou conv2d nms roi_align",
    "seglib.ops.nms": "nms",
    "seglib.ops.outlines": "join_outlines mask_outlines",
    "seglib.pretrained": "load",
    "seglib.structures": "Prediction",
    "seglib.training": "train",
}


def imported(source: str) -> set[tuple[str, str]]:
    """(module, name) of every `from seglib… import name` in a text."""
    statements = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.ImportFrom)]
    ours = [n for n in statements if (n.module or "").split(".")[0] == "seglib"]
    return {(str(n.module), alias.name) for n in ours for alias in n.names}


def exists(module: str, name: str) -> bool:
    """Whether `from module import name` works, for an attribute as well as for a submodule."""
    try:
        if hasattr(import_module(module), name):
            return True
        import_module(f"{module}.{name}")
    except ModuleNotFoundError:
        return False
    return True


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("[0-9]*.py")), ids=lambda path: path.stem)
def test_what_lessons_and_assignments_import_exists(path: Path) -> None:
    found = imported(path.read_text("utf-8"))
    assert found
    assert [pair for pair in sorted(found) if not exists(*pair)] == []


@pytest.mark.parametrize("module", PROMISED)
def test_the_promised_paths_exist(module: str) -> None:
    assert [name for name in PROMISED[module].split() if not exists(module, name)] == []


def test_a_missing_path_is_found() -> None:
    assert imported("from seglib.ops import nms\nimport os") == {("seglib.ops", "nms")}
    assert exists("seglib", "metrics")  # a submodule that nothing has imported yet
    assert not exists("seglib.ops", "missing")
    assert not exists("seglib.missing", "nms")
