"""`seglib ship` writes everything or nothing, and only in the folder it was given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import seglib.cli.ship as shipping
from seglib.data.digests import file_sha256
from seglib.errors import SeglibError
from seglib.pretrained.results import read_results
from tests.fakes import write_squares
from tests.helpers import run_cli


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A short run of the command line."""
    out = tmp_path_factory.mktemp("runs") / "fcn"
    squares = write_squares(tmp_path_factory.mktemp("squares"), images=2)
    done = run_cli(
        "train", "fcn", "--dataset", f"coco:{squares}", "--steps", 1, "--batch-size", 2,
        "--size", 32, "--precision", "fp32", "--no-eval", "--out", out,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    return out


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of the run, to be damaged."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


@pytest.fixture
def course(tmp_path) -> Path:
    """The folder of checkpoints/ and results.jsonl."""
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _set(run: Path, **fields: object) -> None:
    file = run / "run.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def _drop(run: Path, name: str) -> None:
    file = run / "run.json"
    values = json.loads(file.read_text())
    del values[name]
    file.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda run: (run / "run.json").unlink(), "no run.json in"),
        (lambda run: (run / "run.json").write_text("{"), "run.json is damaged (Expecting"),
        (lambda run: _drop(run, "dataset"), "run.json is damaged (dataset is missing)"),
        (lambda run: _set(run, init=str(run)), "damaged (init leads back to the run itself)"),
        (lambda run: _set(run, dataset="coco:/none"), "there is no folder /none"),
        (lambda run: (run / "checkpoint.pt").write_bytes(b"xx"), "checkpoint.pt is damaged"),
        (lambda run: (run / "model.safetensors").unlink(), "has its training finished?"),
    ],
)
def test_what_cannot_be_shipped_leaves_nothing(run, course, damage, message):
    damage(run)
    refused = run_cli("ship", run, "name", "--out", course / "checkpoints")
    assert refused.exit_code == 1
    assert message in refused.output
    assert refused.output.count("\n") == 1
    assert files(course) == {}


def test_runs_that_started_from_each_other_are_refused(run, course, tmp_path):
    other = Path(shutil.copytree(run, tmp_path / "other"))
    _set(run, init=str(other))
    _set(other, init=str(run))
    refused = run_cli("ship", run, "name", "--out", course / "checkpoints")
    assert "init leads back to the run itself" in refused.output


def test_a_damaged_table_is_refused_before_any_work(finished, course, monkeypatch):
    (course / "results.jsonl").write_text("junk\n")
    before = files(course)
    monkeypatch.setattr(shipping, "_scored", lambda *_: pytest.fail("scored in vain"))
    refused = run_cli("ship", finished, "name", "--out", course / "checkpoints")
    assert "line 1 is not a result" in refused.output
    assert files(course) == before


@pytest.mark.parametrize("name", ["../esc", "a/b", "..", ".hidden", "", "/tmp/x", "a b"])
def test_names_that_are_not_file_stems_are_refused(finished, course, name):
    refused = run_cli("ship", finished, name, "--out", course / "checkpoints")
    assert refused.exit_code == 1
    assert "is not a plain name" in refused.output
    assert files(course) == {}


def _fail(*_: object) -> None:
    raise SeglibError("image 100 is damaged")


@pytest.mark.parametrize(
    ("fault", "value", "message"),
    [("_scored", _fail, "image 100 is damaged"), ("LARGEST", 1000, "may have at most 0.001 MB")],
)
def test_shipping_again_keeps_the_good_files_until_all_is_well(
    finished, course, monkeypatch, fault, value, message
):
    folder = course / "checkpoints"
    assert run_cli("ship", finished, "name", "--out", folder).exit_code == 0
    record = json.loads((folder / "name.json").read_text())
    assert record["sha256"] == file_sha256(folder / "name.safetensors")
    assert [row["name"] for row in read_results(course / "results.jsonl")] == ["name"]
    (folder / "name.safetensors").write_bytes(b"the good file")
    before = files(course)
    monkeypatch.setattr(shipping, fault, value)
    refused = run_cli("ship", finished, "name", "--out", folder)
    assert refused.exit_code == 1
    assert message in refused.output
    assert files(course) == before
