"""`seglib eval` where there is nothing to find: no ceiling, and JSON that everyone reads."""

from __future__ import annotations

import json
import math

import pytest
import torch
from typer.testing import CliRunner

from seglib import pretrained
from seglib.cli import app
from seglib.cli.ceiling_lines import ceiling_lines, share_of
from seglib.data.datasets import load_dataset
from seglib.models import build_model
from tests.fakes import CATEGORIES, tiny_fcn, write_squares

SMALL = {
    "mask_rcnn": {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8},
    "cascade_rcnn": {"width": 8, "fpn_width": 16, "box_hidden": 16, "mask_width": 8},
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
    arguments = ["eval", str(path), "--dataset", empty, "--summary", "--json", str(report)]
    result = CliRunner().invoke(app, arguments)
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


@pytest.mark.parametrize(
    ("reached", "ceiling", "share"),
    [(0.3, 0.6, 0.5), (math.nan, 0.6, None), (0.3, -1.0, None), (0.3, 0.0, None), (0.0, 0.5, 0.0),
     (0.3, math.nan, None)],
)  # fmt: skip
def test_shares(reached, ceiling, share):
    assert share_of(reached, ceiling) == share
