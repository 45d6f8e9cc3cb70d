"""`seglib train --resume` goes on with the run that is there, or refuses and changes nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from seglib import pretrained
from seglib.cli.settings import read_run
from seglib.errors import SeglibError
from seglib.training.checkpoint import FILE_NAME, Checkpoint
from tests.helpers import run_cli

SHORT = ("--steps", 2, "--batch-size", 2, "--size", 33, "--precision", "fp32")


@pytest.fixture(scope="module")
def finished(squares, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "fcn"
    done = run_cli("train", "fcn", "--dataset", squares, *SHORT, "--no-eval", "--out", out)
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of a finished run, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fcn", "--size", 48), "made with size=33, not 48"),
        (("fcn", "--preset", "paper"), "made with preset='pocket', not 'paper'"),
        (("fcn", "--variant", "32s"), "made with variant=None, not '32s'"),
        (("fcn", "--init", "fcn"), "made with init=None, not 'fcn'"),
        (("fcn", "--overfit", 2), "made with overfit=None, not 2"),
        (("fcn", "--dataset", "pocket"), "not 'pocket'"),
        (("fcn", "--seed", 3), "made with seed=0, not 3"),
        (("fcn", "--steps", 5), "made with steps=2, not 5"),
        (("deepmask",), "made with model='fcn', not 'deepmask'"),
    ],
)
def test_settings_that_differ_from_the_run_are_refused_and_nothing_changes(run, arguments, message):
    before = contents(run)
    refused = run_cli("train", *arguments, "--resume", "--out", run)
    assert refused.exit_code == 1
    assert message in refused.output
    assert refused.output.count("\n") == 1
    assert contents(run) == before
    assert run_cli("train", "fcn", "--resume", "--out", run).exit_code == 0


def test_the_same_settings_may_be_given_again(run, squares):
    again = run_cli("train", "fcn", "--dataset", squares, *SHORT, "--resume", "--out", run)
    assert again.exit_code == 0, again.output
    assert read_run(run)["size"] == pretrained.load(run).config.image_size == 33


def _changed(**fields: object) -> object:
    def change(text: str) -> str:
        return json.dumps({**json.loads(text), **fields})

    return change


def _without(name: str) -> object:
    return lambda text: json.dumps({k: v for k, v in json.loads(text).items() if k != name})


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        (lambda text: text[:20], "line 3"),
        (lambda text: "[]", "it is not a JSON object"),
        (lambda text: "{}", "model is missing"),
        (lambda text: "", "Expecting value"),
        (_without("dataset"), "dataset is missing"),
        (_changed(steps="two"), "steps is 'two', not a whole number"),
        (_changed(steps=None), "steps is None, not a whole number"),
        (_changed(size=True), "size is True, not a whole number"),
        (_changed(lr="fast"), "lr is 'fast', not a number"),
        (_changed(augment=0), "augment is 0, not true or false"),
        (_changed(init=5), "init is 5, not text"),
        (_changed(device="tpu"), "device is 'tpu', not one of auto, cpu, cuda, mps"),
        (_changed(preset="huge"), "preset is 'huge', not one of pocket, paper"),
    ],
)
def test_a_damaged_run_file_is_named_with_its_fault(run, damage, fault):
    file = run / "run.json"
    file.write_text(damage(file.read_text()))
    before = contents(run)
    refused = run_cli("train", "fcn", "--resume", "--out", run)
    assert refused.exit_code == 1
    assert refused.output.startswith(f"error: {file} is damaged (")
    assert fault in refused.output
    assert contents(run) == before
    with pytest.raises(SeglibError, match="is damaged"):
        read_run(run)


@pytest.mark.parametrize(
    ("name", "value"),
    [("evaluate", True), ("device", "auto"), ("schedule", "cosine"), ("backbone_lr", None)],
)
def test_a_run_file_of_an_earlier_version_can_be_resumed(run, name, value):
    file = run / "run.json"
    file.write_text(_without(name)(file.read_text()))
    assert read_run(run)[name] == value
    assert run_cli("train", "fcn", "--resume", "--out", run).exit_code == 0


def test_no_eval_is_remembered_and_eval_adds_the_figures(run):
    assert run_cli("train", "fcn", "--resume", "--out", run).exit_code == 0
    assert Checkpoint.load(run / FILE_NAME).history["validation"] == []
    assert "mean_iou" in run_cli("train", "fcn", "--resume", "--eval", "--out", run).output
    assert [row["step"] for row in Checkpoint.load(run / FILE_NAME).history["validation"]] == [2]


def test_a_resumed_run_no_longer_needs_its_init(run, squares, tmp_path):
    second = tmp_path / "second"
    train = ("train", "fcn", "--dataset", squares, *SHORT, "--no-eval", "--init", run)
    assert run_cli(*train, "--out", second).exit_code == 0
    shutil.rmtree(run)
    resumed = run_cli("train", "fcn", "--resume", "--out", second)
    assert resumed.exit_code == 0, resumed.output


@pytest.mark.parametrize("precision", ["fp32", "auto"])
def test_images_too_small_for_batch_norm_are_reported_in_one_line(squares, tmp_path, precision):
    refused = run_cli(
        "train", "mask_rcnn", "--dataset", squares, "--size", 16, "--batch-size", 1,
        "--precision", precision, "--steps", 1, "--no-eval", "--out", tmp_path / "tiny",
    )  # fmt: skip
    assert refused.exit_code == 1
    assert "a batch of 1 image(s) of 16 x 16 px" in refused.output
    assert "a larger --size or --batch-size" in refused.output
