"""`seglib train`: its options, what it says, and what it leaves behind."""

from __future__ import annotations

import json
import re
from dataclasses import fields

import pytest
import torch

from seglib import pretrained
from seglib.cli.progress import estimate
from seglib.cli.settings import Setup
from seglib.training import Progress, TrainConfig
from seglib.training.settings import Setting
from tests.helpers import ROOT, assert_refused, run_cli

PICTURE = ROOT / "data/pocket/val/000002000000.png"


def test_help_lists_every_setting_once_with_its_default(monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    output = run_cli("train", "--help").output
    page = " ".join(output.replace("│", " ").split())
    for field in (*fields(Setup), *fields(TrainConfig)):
        described = field.metadata.get("setting", Setting(""))
        name = (described.flag or field.name).replace("_", "-")
        assert len(re.findall(rf"^│ +--{name} ", output, re.MULTILINE)) == 1, name
        assert described.help in page
        assert described.command_line is not None or described.unset in page
    for default in ("2000", "0.0001", "no-tune", "augment", "auto"):
        assert f"[default: {default}]" in page


def test_the_same_command_gives_the_same_weights(squares, tmp_path):
    """By default, precision and layout depend on the machine alone, not on its clock."""
    for name in ("one", "two"):
        done = run_cli(
            "train", "fcn", "--dataset", squares, "--steps", 3, "--batch-size", 2,
            "--size", 32, "--no-eval", "--out", tmp_path / name,
        )  # fmt: skip
        assert done.exit_code == 0, done.output
    one, two = (pretrained.load(tmp_path / name).state_dict() for name in ("one", "two"))
    assert all(torch.equal(value, two[name]) for name, value in one.items())


def test_training_prints_the_chosen_settings_and_an_estimate(squares, tmp_path):
    out = tmp_path / "run"
    done = run_cli(
        "train", "fcn", "--dataset", squares, "--steps", 8, "--batch-size", 1,
        "--size", 64, "--no-eval", "--tune", "--device", "cpu", "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    settings = json.loads((out / "log.jsonl").read_text().splitlines()[0])["run"]
    assert settings["device"] == "cpu"
    assert settings["precision"] in ("fp32", "bf16")
    layout = "channels_last" if settings["channels_last"] else "channels first"
    assert f"training on cpu with {settings['precision']}, {layout}" in done.output
    assert done.output.count("tuning: timing ") == 4
    assert re.search(r"estimate: \d+\.\d minutes for the other 2 steps, at \d+", done.output)
    assert re.search(r"8 steps in \d+\.\d minutes", done.output)
    again = run_cli("train", "fcn", "--resume", "--out", out)
    assert again.exit_code == 0, again.output
    assert "tuning" not in again.output


def test_the_estimate_by_hand():
    first, last = (
        Progress(step, 100, loss=1.0, losses={}, lr=0.1, seconds=seconds)
        for step, seconds in ((1, 9.0), (5, 11.0))
    )
    assert estimate(first, last) == (
        "estimate: 0.8 minutes for the other 95 steps, at 0.50 s per step; validations come on top"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--lr", 0), "lr=0.0: it must be above 0"),
        (("--ema", 1), "ema=1.0: it must be at least 0 and below 1"),
        (("--lr", "nan"), "lr=nan: it must be above 0"),
        (("--dataset", "voc"), "no data set is called 'voc'"),
    ],
)
def test_a_setting_out_of_range_is_refused_before_anything_is_written(arguments, message, tmp_path):
    assert_refused(run_cli("train", "fcn", *arguments, "--out", tmp_path / "run"), message)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "command", [("train", "fcn"), ("eval", "fcn"), ("predict", "fcn", PICTURE)]
)
def test_a_missing_gpu_is_reported_in_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = run_cli(*command, "--device", "cuda")
    assert_refused(refused, "device 'cuda' was requested, but PyTorch")
    assert "choose auto or cpu" in refused.output
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_another_paradigm_gives_its_backbone(tmp_path):
    out = tmp_path / "run"
    size = ("--overfit", 1, "--size", 64, "--batch-size", 2, "--steps", 1, "--no-eval")
    result = run_cli("train", "detr", *size, "--init", "mask_rcnn", "--out", out)
    assert result.exit_code == 0, result.output
    new = "input_proj, transformer, query_embed, class_embed, bbox_embed, bbox_attention"
    assert f"not in that checkpoint, randomly initialised: {new}, mask_head" in " ".join(
        result.output.split()
    )
