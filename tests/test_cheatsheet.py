"""What the cheat sheet states about code and commands is true."""

from __future__ import annotations

import dataclasses
import re

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from seglib import ops
from seglib.cli import app
from seglib.ops.grid import Grid
from seglib.structures import Instances, Prediction, Target
from tests.helpers import ROOT

SHEET = (ROOT / "book" / "cheatsheet.md").read_text("utf-8")
STRUCTURES = {"Target": Target, "Instances": Instances, "Prediction": Prediction}


def cells(heading: str) -> list[list[str]]:
    """The rows of the table under a heading, without its head."""
    part = SHEET.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_the_fields_exist_with_their_types():
    named = re.findall(r"`(Target|Instances|Prediction)\.(\w+)`", SHEET)
    assert len(named) > 8
    for structure, name in named:
        fields = {field.name for field in dataclasses.fields(STRUCTURES[structure])}
        assert name in fields, f"{structure}.{name}"


def test_the_shapes_of_functions():
    boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 3], [5, 5, 6, 6]])
    masks = torch.ones(2, 3, 5, dtype=torch.bool)
    assert ops.box_iou(boxes, boxes[:2]).shape == (3, 2)
    assert ops.mask_iou(masks, masks[:1]).shape == (2, 1)
    kept = ops.nms(boxes, torch.tensor([0.1, 0.9, 0.5]), 0.5)
    assert (kept.dtype, kept.tolist()) == (torch.int64, [1, 2])


@pytest.mark.parametrize("settings", [(3, 1, 0, 1), (3, 2, 1, 1), (5, 3, 2, 2)])
def test_the_sizes_of_layers(settings):
    kernel, stride, padding, dilation = settings
    n, line = 17, torch.zeros(1, 1, 17)
    known = {"n": n, "kernel": kernel, "stride": stride, "padding": padding, "dilation": dilation}
    known |= {"floor": int, "output_padding": 0}
    forward, backward = (
        eval(formula.replace("·", "*").replace("−", "-"), {}, known)
        for _, formula in cells("Sizes")
    )
    assert nn.Conv1d(1, 1, kernel, stride, padding, dilation)(line).shape[-1] == forward
    transposed = nn.ConvTranspose1d(1, 1, kernel, stride, padding, dilation=dilation)
    assert transposed(line).shape[-1] == backward


def test_the_growth_of_the_receptive_field():
    before = Grid().convolved(3, 2, 1, 1)
    after = before.convolved(5, 3, 0, 2)
    assert after.field == before.field + 2 * (5 - 1) * before.stride
    assert after.stride == before.stride * 3


def test_every_command_and_option_exists():
    commands = [text for row in cells("Commands") for text in re.findall(r"`([^`]+)`", row[0])]
    commands += re.findall(r"`(seglib [a-z ]+)`", SHEET)
    ours = {c for c in commands if c.startswith("seglib ")}
    assert len(ours) > 6
    for command in ours:
        words = command.split()[1:]
        names = [word for word in words if re.fullmatch(r"[a-z]+", word)][
            : 1 + (words[0] == "data")
        ]
        shown = CliRunner().invoke(app, [*names, "--help"])
        assert shown.exit_code == 0, command
        for option in (word for word in words if word.startswith("--")):
            assert option in re.sub(r"\x1b\[[0-9;]*m", "", shown.output), f"{option} of {command}"


@pytest.mark.slow
def test_the_python_runs(monkeypatch):
    monkeypatch.delenv("SEGLIB_DATASET", raising=False)
    names: dict[str, object] = {}
    exec(SHEET.split("```python\n")[1].split("```")[0], names)
    assert len(names["overlap"]) == len(names["found"])  # type: ignore[arg-type]
