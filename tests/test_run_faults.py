"""What befalls a run from outside: broken records, full disks, steps that overflow."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seglib.errors import SeglibError
from seglib.training import TrainConfig, train
from seglib.training.checkpoint import Checkpoint
from tests.fakes import Squares, tiny_fcn
from tests.helpers import ROOT

CONFIG = TrainConfig(steps=6, batch_size=4, lr=1e-2, ema=0.9, checkpoint_every=0)


class Breakable(Squares):
    """Image 111, which is first read in the third step, raises `fault`."""

    fault: Exception | None = None

    def __getitem__(self, index: int):
        if index == self.count - 1 and self.fault is not None:
            raise self.fault
        return super().__getitem__(index)


@pytest.mark.parametrize(
    "fault", [SeglibError("111.png is truncated"), OSError("111.png"), KeyError("111.png")]
)
def test_a_broken_record_loses_no_finished_step(tmp_path, fault):
    whole = train(tiny_fcn(), Squares(), replace(CONFIG, out=tmp_path / "whole"))
    config, data = replace(CONFIG, out=tmp_path / "run"), Breakable()
    data.fault = fault
    with pytest.raises(type(fault) if isinstance(fault, KeyError) else SeglibError) as raised:
        train(tiny_fcn(), data, config)
    saved = Checkpoint.load(tmp_path / "run" / "checkpoint.pt")
    assert 0 < saved.step <= 3
    assert "111.png" in str(raised.value)
    if not isinstance(fault, KeyError):
        assert f"up to step {saved.step}: fix it, then continue with --resume" in str(raised.value)
    data.fault = None
    resumed = train(tiny_fcn(seed=7), data, config, resume=True)
    assert resumed.losses == whole.losses
    final = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "run")]
    assert final[0] == final[1]
    one, two = (Checkpoint.load(tmp_path / n / "checkpoint.pt").ema for n in ("whole", "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def _spoil(model, step: int):
    def on_step(progress) -> None:
        if progress.step == step:
            with torch.no_grad():
                next(iter(model.parameters())).fill_(math.inf)

    return on_step


@pytest.mark.parametrize(("every", "kept"), [(2, 2), (0, None)])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, every, kept):
    model = tiny_fcn()
    config = replace(CONFIG, steps=4, checkpoint_every=every, out=tmp_path)
    with pytest.raises(SeglibError, match=r"step 4: the weights of \S+ are not finite") as raised:
        train(model, Squares(), config, _spoil(model, 4))
    path = tmp_path / "checkpoint.pt"
    assert path.exists() == (kept is not None)
    assert (f"last good checkpoint is {path}, of step 2" in str(raised.value)) == path.exists()
    if kept is not None:
        assert Checkpoint.load(path).step == kept
    assert not (tmp_path / "model.safetensors").exists()


def test_an_earlier_runs_checkpoint_is_not_called_the_last_good_one(tmp_path):
    train(tiny_fcn(), Squares(), replace(CONFIG, steps=1, out=tmp_path))
    model = tiny_fcn()
    with pytest.raises(SeglibError, match="not finite") as raised:
        train(model, Squares(), replace(CONFIG, steps=1, out=tmp_path), _spoil(model, 1))
    assert "last good" not in str(raised.value)


@pytest.fixture(scope="module", params=["adamw", "sgd"])
def saved(request, tmp_path_factory) -> tuple[Path, TrainConfig]:
    config = replace(CONFIG, steps=1, optimizer=request.param)
    folder = tmp_path_factory.mktemp("saved")
    train(tiny_fcn(), Squares(), replace(config, out=folder))
    return folder / "checkpoint.pt", config


def _emptied(optimizer, field) -> None:
    optimizer["state"].clear()


def _one_missing(optimizer, field) -> None:
    del optimizer["state"][0][field]


def _misshapen(optimizer, field) -> None:
    optimizer["state"][0][field] = torch.zeros(3, 5)


def _nan(optimizer, field) -> None:
    optimizer["state"][0][field].fill_(math.nan)


def _text(optimizer, field) -> None:
    optimizer["state"][0][field] = "0"


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_emptied, "of .* is missing"),
        (lambda o, _: o["state"].pop(0), "of a weight is missing"),
        (_one_missing, "{field} of .* is missing"),
        (_misshapen, r"{field} of .* is not a tensor of shape"),
        (_nan, "{field} of .* is not finite"),
        (_text, "{field} of .* is not a tensor"),
        (lambda o, _: o["param_groups"][0].pop("weight_decay"), "weight_decay of group 0"),
        (lambda o, _: o["param_groups"][0].update(weight_decay="x"), "weight_decay of group 0"),
        (lambda o, _: o["param_groups"].pop(), "optimizer: "),
    ],
)
def test_a_damaged_optimiser_is_refused_at_the_door(saved, tmp_path, damage, words):
    file, config = saved
    content = torch.load(file, weights_only=True)
    field = "exp_avg" if config.optimizer == "adamw" else "momentum_buffer"
    damage(content["optimizer"], field)
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(
        SeglibError,
        match=r"damaged \(optimizer: .*" + words.format(field=field)
        if words != "optimizer: "
        else words,
    ):
        train(tiny_fcn(), Squares(), replace(config, out=tmp_path), resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.pt"]


# A limit on the size of files stands for a full disk: the write fails in the middle.
FULL = """
import resource, sys
from dataclasses import replace
from pathlib import Path
from seglib.training import train
from tests.fakes import Squares, tiny_fcn
from tests.test_run_faults import CONFIG
def limit(progress):
    if progress.step == 3:
        size = (Path(sys.argv[1]) / sys.argv[2]).stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, resource.RLIM_INFINITY))
train(tiny_fcn(), Squares(), replace(CONFIG, checkpoint_every=2, out=Path(sys.argv[1])), limit)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("file", ["checkpoint.pt", "log.jsonl"])
def test_a_full_disk_leaves_the_last_good_state(tmp_path, file):
    run = tmp_path / "run"
    child = subprocess.run(
        [sys.executable, "-c", FULL, str(run), file],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    last = child.stderr.strip().splitlines()[-1]
    assert "SeglibError: cannot write" in last, child.stderr
    assert file in last
    assert "File too large" in last
    assert "up to step 2" in last
    assert not list(run.glob(".*"))
    assert Checkpoint.load(run / "checkpoint.pt").step == 2
    whole = train(tiny_fcn(), Squares(), CONFIG)
    config = replace(CONFIG, checkpoint_every=2, out=run)
    assert train(tiny_fcn(), Squares(), config, resume=True).losses[2:] == whole.losses[2:]
