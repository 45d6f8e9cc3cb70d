"""The command line does what it says, fails with one line, and exits with the right code."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import seglib
from seglib import pretrained
from seglib.cli import options
from seglib.cli.progress import clock
from seglib.data.digests import file_sha256
from seglib.errors import SeglibError
from seglib.pretrained.results import append_result, read_results
from seglib.training import History
from seglib.training.checkpoint import FILE_NAME, Checkpoint
from tests.helpers import HANG_SECONDS, ROOT, run_cli, wait_until


@pytest.fixture(scope="module")
def trained(squares, tmp_path_factory) -> Path:
    """A short run, as a user starts it."""
    out = tmp_path_factory.mktemp("runs") / "fcn"
    arguments = [
        "train", "fcn", "--dataset", squares, "--steps", 8, "--batch-size", 4, "--lr", 0.01,
        "--variant", "16s", "--precision", "fp32", "--eval-every", 4, "--out", out,
    ]  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:  # the run records the command as it was typed
        patch.setattr(sys, "argv", ["seglib", *map(str, arguments)])
        result = run_cli(*arguments)
    assert result.exit_code == 0, result.output
    assert re.search(r"8 steps in \S+ minutes; mean loss of the first tenth", result.output)
    assert "mean_iou" in result.output
    assert f"seglib eval {out}" in result.output
    return out


def test_every_command_has_help():
    top = run_cli("--help")
    assert top.exit_code == 0
    commands = "train eval predict tour doctor data lessons assignments"
    for command in commands.split():
        assert command in top.output
        page = run_cli(command, "--help")
        assert page.exit_code == 0
        assert "Usage" in page.output
    assert run_cli("--version").output == f"seglib {seglib.__version__}\n"


def test_help_does_not_import_torch():
    code = "import sys, seglib.cli; print([m for m in ('torch', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"


def test_completion_knows_models_checkpoints_and_files(tmp_path):
    assert options._complete_model("ma") == ["mask_rcnn", "maskformer"]
    assert options._complete_checkpoint("fcn-") == ["fcn-16s", "fcn-32s", "fcn-8s"]
    (tmp_path / "fcn-run").mkdir()
    assert options._complete_checkpoint(f"{tmp_path}/fcn") == [f"{tmp_path}/fcn-run"]


def test_train_writes_a_run_that_eval_reads(trained, squares, tmp_path):
    assert {p.name for p in trained.iterdir()} == {
        "run.json", "log.jsonl", "checkpoint.pt", "model.safetensors",
    }  # fmt: skip
    header = pretrained.header(trained)
    assert header.config["variant"] == "16s"
    assert header.notes["command"].startswith("seglib train fcn --dataset coco:")
    report = tmp_path / "figures.json"
    result = run_cli("eval", trained, "--dataset", squares, "--json", report, "--size", 48)
    assert result.exit_code == 0, result.output
    assert "mean_iou" in result.output
    assert "dot" in result.output
    assert "logits of stride 16" in result.output
    assert "6 images at 48 px" in result.output
    figures = json.loads(report.read_text())
    assert figures["figures"]["mean_iou"] == pytest.approx(header.notes["figures"]["mean_iou"])
    ceiling = figures["ceilings"]["mean_iou"]
    assert ceiling["share"] == pytest.approx(figures["figures"]["mean_iou"] / ceiling["ceiling"])
    assert figures["split"] == "val"
    assert figures["images"] == 6
    summary = run_cli("eval", trained, "--dataset", squares, "--limit", 2, "--summary")
    assert "dot" not in summary.output
    assert "2 images" in summary.output


def test_predict_writes_overlays_and_json(trained, tmp_path):
    photo = tmp_path / "photo.jpg"
    Image.fromarray(np.full((60, 90, 3), 200, np.uint8)).save(photo)
    out = tmp_path / "out"
    result = run_cli("predict", trained, photo, "--out", out, "--size", 64)
    assert result.exit_code == 0, result.output
    with Image.open(out / "photo.png") as overlay:
        assert overlay.width > overlay.height > 0
    (entry,) = json.loads((out / "predictions.json").read_text())
    assert entry["image"] == str(photo)
    assert entry["size"] == [43, 64]
    assert sum(entry["semantic"].values()) == pytest.approx(1, abs=1e-3)


def test_predict_reads_folders_and_refuses_other_paths(trained, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    empty = run_cli("predict", trained, folder, "--out", tmp_path / "out")
    assert empty.exit_code == 1
    assert f"error: no images in {folder}" in empty.output
    for name in ("b.png", "a.png"):
        Image.new("RGB", (40, 40)).save(folder / name)
    both = run_cli("predict", trained, folder, "--out", tmp_path / "out")
    assert both.exit_code == 0, both.output
    assert "wrote 2 overlays" in both.output
    twice = run_cli("predict", trained, folder, folder / "a.png")
    assert "two images are called a" in twice.output
    missing = run_cli("predict", trained, tmp_path / "none.jpg", "--out", tmp_path / "out")
    assert missing.exit_code == 1
    assert "none.jpg does not exist" in missing.output


def test_a_run_is_not_overwritten(trained, squares):
    again = run_cli("train", "fcn", "--dataset", squares, "--out", trained)
    assert again.exit_code == 1
    assert f"error: {trained} already contains a run: add --resume" in again.output


def test_resume_takes_settings_from_the_run_and_refuses_others(trained):
    done = run_cli("train", "fcn", "--out", trained, "--resume")
    assert done.exit_code == 0, done.output
    assert "8 steps" in done.output
    other = run_cli("train", "fcn", "--out", trained, "--resume", "--lr", 0.5)
    assert other.exit_code == 1
    assert "made with lr=0.01, not 0.5" in other.output
    nothing = run_cli("train", "fcn", "--out", trained / "none", "--resume")
    assert nothing.exit_code == 1
    assert "nothing to resume" in nothing.output


def test_ship_makes_a_checkpoint_with_its_record(trained, tmp_path):
    folder = tmp_path / "checkpoints"
    result = run_cli("ship", trained, "fcn-16s", "--out", folder)
    assert result.exit_code == 0, result.output
    record = json.loads((folder / "fcn-16s.json").read_text())
    header = pretrained.header(folder / "fcn-16s.safetensors")
    assert (
        record["command"] == header.notes["command"] == pretrained.header(trained).notes["command"]
    )
    assert record["figures"]["mean_iou"] == header.notes["figures"]["mean_iou"]
    assert record["evaluated"] == "6 images of val"
    assert record["ceilings"]["mean_iou"]["stride"] == 16
    history = History.from_dict(record["history"])
    assert len(history.losses) == 8
    assert [row["step"] for row in history.validation] == [4, 8]
    assert record["sha256"] == file_sha256(folder / "fcn-16s.safetensors")

    rows = read_results(tmp_path / "results.jsonl")
    assert [(row["name"], row["seed"]) for row in rows] == [("fcn-16s", 0)]
    assert rows[0]["cpu_minutes"] == record["cpu_minutes"] >= 0
    again = run_cli("ship", trained, "fcn-16s-seed1", "--out", folder, "--figures-only")
    assert again.exit_code == 0, again.output
    assert not (folder / "fcn-16s-seed1.json").exists()
    assert len(read_results(tmp_path / "results.jsonl")) == 2
    shown = run_cli("results", "--file", tmp_path / "results.jsonl")
    assert "fcn-16s-seed1" in shown.output


def test_ship_counts_the_runs_it_started_from(trained, squares, tmp_path):
    second = tmp_path / "second"
    done = run_cli("train", "fcn", "--variant", "16s", "--dataset", squares, "--steps", 2,
               "--batch-size", 2, "--no-eval", "--init", trained, "--out", second)  # fmt: skip
    assert done.exit_code == 0, done.output
    result = run_cli("ship", second, "both", "--out", tmp_path / "checkpoints")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "checkpoints" / "both.json").read_text())
    first, then = (pretrained.header(run_).notes["command"] for run_ in (trained, second))
    assert record["command"] == f"{first} && {then}"
    minutes = [
        History.from_dict(Checkpoint.load(run_ / FILE_NAME).history).cpu_seconds / 60
        for run_ in (trained, second)
    ]
    assert record["cpu_minutes"] == pytest.approx(sum(minutes), abs=0.051)


def test_results_refuse_damage(tmp_path):
    table = tmp_path / "results.jsonl"
    assert read_results(table) == []
    with pytest.raises(SeglibError, match="needs command"):
        append_result(table, {"name": "x"})
    table.write_text('{"name": "half"\n')
    with pytest.raises(SeglibError, match="line 1 is not a result"):
        read_results(table)
    assert run_cli("results", "--file", table).exit_code == 1


def test_init_starts_from_another_variant(trained, squares, tmp_path):
    result = run_cli(
        "train", "fcn", "--dataset", squares, "--variant", "8s", "--init", trained,
        "--steps", 1, "--no-eval", "--out", tmp_path / "finer",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "randomly initialised: network.score_pool3.weight" in result.output


def test_a_model_keeps_the_size_it_was_trained_at(squares, tmp_path):
    out = tmp_path / "small"
    train = ("train", "fcn", "--dataset", squares, "--steps", 1, "--no-eval", "--size", 32)
    assert run_cli(*train, "--out", out).exit_code == 0
    assert pretrained.load(out).config.image_size == 32
    assert "6 images at 32 px" in run_cli("eval", out, "--dataset", squares).output
    other = run_cli("eval", out, "--dataset", squares, "--size", 48)
    assert "reaches mean_iou" in other.output
    assert "images at 48 px" in other.output


def test_overfit_prints_images_and_ceiling(squares, tmp_path):
    result = run_cli(
        "train", "fcn", "--dataset", squares, "--overfit", 2, "--steps", 3, "--size", 48,
        "--out", tmp_path / "few",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "images 100, 101" in result.output
    assert "these 2 images at 48 px" in result.output
    assert json.loads((tmp_path / "few" / "run.json").read_text())["augment"] is False


def test_data_info_counts(squares):
    result = run_cli("data", "info", "--dataset", squares)
    assert result.exit_code == 0, result.output
    assert "6 images, 6 objects" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train", "fnc"), "no model is called 'fnc': did you mean 'fcn'?"),
        (("data", "info", "--dataset", "voc"), "no data set is called 'voc': choose among pocket"),
        (
            ("data", "info", "--dataset", "poket"),
            "no data set is called 'poket': did you mean 'pocket'?",
        ),
        (("eval", "nothing"), "no checkpoint is called 'nothing': choose among cascade_rcnn"),
        (("eval", "MaskRCNN"), "no checkpoint is called 'MaskRCNN': did you mean 'mask_rcnn'?"),
        (("eval", "./no/folder"), "no model file at no/folder"),
    ],
)
def test_errors_are_one_line_and_exit_1(arguments, message):
    result = run_cli(*arguments)
    assert result.exit_code == 1
    assert result.output.startswith(f"error: {message}")
    assert result.output.count("\n") == 1


def test_a_mistyped_command_is_answered_with_the_nearest():
    assert "Did you mean 'predict'?" in run_cli("prdict", "x").output


@pytest.mark.parametrize(
    "arguments",
    [
        ("train",),
        ("train", "fcn", "--steps", "0"),
        ("prdict", "x"),
        ("eval", "--bad"),
        ("eval", "shipped", "--size", "64"),
        ("eval", "shipped", "--json", "x.json"),
    ],
)
def test_wrong_usage_exits_2(arguments):
    assert run_cli(*arguments).exit_code == 2


def test_ctrl_c_saves_and_says_how_to_continue(squares, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable, "-m", "seglib.cli", "train", "fcn", "--dataset", squares, "--steps",
        "5000", "--precision", "fp32", "--out", str(out),
    ]  # fmt: skip
    child = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE
    )
    log = out / "log.jsonl"
    wait_until(lambda: log.exists() and '"loss"' in log.read_text(), child)
    child.send_signal(signal.SIGINT)
    _, errors = child.communicate(timeout=HANG_SECONDS)
    assert child.returncode == 130
    assert f"continue with: seglib train fcn --out {out} --resume" in errors.decode()
    assert (out / "checkpoint.pt").exists()


def test_clock():
    assert clock(3723.4) == "1:02:03"
