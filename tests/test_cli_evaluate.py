"""`seglib eval`: no ceiling and strict JSON where there is nothing to find; the shipped table."""

from __future__ import annotations

import json
import math

import pytest
import torch

from seglib import pretrained
from seglib.cli.ceiling_lines import ceiling_lines, share_of
from seglib.data.datasets import load_dataset
from seglib.models import build_model
from seglib.pretrained import shipped
from seglib.pretrained.shipped import SHIPPED
from tests.fakes import CATEGORIES, tiny_fcn, write_squares
from tests.helpers import run_cli

SMALL = {
    "mask_rcnn": {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8},
    "cascade_rcnn": {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8},
    "yolact": {"width": 8, "fpn_width": 16, "proto_width": 8, "head_width": 8},
    "deepmask": {"width": 8, "reduced": 8, "rank": 12, "score_widths": (8,)},
}


@pytest.fixture(params=["nothing annotated", "only crowds"])
def empty(request, tmp_path) -> str:
    """A data set with nothing to find."""
    folder = write_squares(tmp_path / "squares", images=2)
    path = folder / "annotations" / "instances_val.json"
    content = json.loads(path.read_text())
    if request.param == "nothing annotated":
        content["annotations"] = []
    for annotation in content["annotations"]:
        annotation["iscrowd"] = 1
    path.write_text(json.dumps(content))
    return f"coco:{folder}"


@pytest.mark.parametrize("name", SMALL)
def test_no_ceiling_where_nothing_can_be_found(name, empty, tmp_path):
    torch.manual_seed(0)
    model = build_model(name, CATEGORIES, image_size=48, **SMALL[name])
    path = pretrained.save(model, tmp_path / "model.safetensors")
    report = tmp_path / "figures.json"
    result = run_cli("eval", path, "--dataset", empty, "--summary", "--json", report)
    assert result.exit_code == 0, result.output
    assert "ceiling" not in result.output
    assert "baseline" not in result.output
    assert "nan" not in result.output
    content = json.loads(report.read_text())
    assert content["ceilings"] == {}
    assert set(content["figures"].values()) == {None}


def test_no_share_of_a_mean_iou_that_is_undefined(empty):
    data = load_dataset(empty, split="val")
    assert ceiling_lines(tiny_fcn(), data, None, {"mean_iou": math.nan}, None) == ([], {})


def test_shipped_checkpoints_are_scored_one_by_one_and_announced(monkeypatch):
    two = {name: SHIPPED[name] for name in ("fcn-32s", "mask_rcnn")}
    monkeypatch.setattr(shipped, "SHIPPED", two)
    result = run_cli("eval", "shipped", "--limit", 1)
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == [
        "evaluating fcn-32s, checkpoint 1 of 2",
        "evaluating mask_rcnn, checkpoint 2 of 2",
    ]
    assert "first 1 images" in result.stdout
    for name in two:
        figures = pretrained.record(name)["figures"]
        assert f"{name}: ceiling: a perfect" in result.stdout
        main = "mean_iou" if name == "fcn-32s" else "mask_AP"
        assert f"{main} {figures[main]:.3f}" in result.stdout  # on record: of all images


@pytest.mark.parametrize(
    ("reached", "ceiling", "share"),
    [(0.3, 0.6, 0.5), (math.nan, 0.6, None), (0.3, -1.0, None), (0.3, 0.0, None), (0.0, 0.5, 0.0),
     (0.3, math.nan, None)],
)  # fmt: skip
def test_shares(reached, ceiling, share):
    assert share_of(reached, ceiling) == share
