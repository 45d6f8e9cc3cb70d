"""A run that is killed goes on bit by bit as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seglib import pretrained
from seglib.atomic import write_atomic
from seglib.errors import SeglibError
from seglib.training import TrainConfig, train
from seglib.training.checkpoint import Checkpoint
from seglib.training.random_state import (
    random_state_kept,
    rng_state,
    seed_everything,
    set_rng_state,
)
from tests.fakes import Squares, tiny_fcn
from tests.helpers import ROOT, wait_until

CONFIG = TrainConfig(
    steps=14, batch_size=5, lr=1e-2, warmup=2, ema=0.9, augment=True, checkpoint_every=1
)
# The child process trains slowly enough to be killed in the middle.
CHILD = """
import sys, time
from dataclasses import replace
from pathlib import Path
from tests.fakes import Squares, tiny_fcn
from tests.test_checkpoint_resume import CONFIG
from seglib.training import train
config = replace(CONFIG, out=Path(sys.argv[1]))
train(tiny_fcn(), Squares(), config, lambda step: time.sleep(0.1))
"""


def test_resume_after_kill_9_is_bit_identical(tmp_path):
    whole = train(tiny_fcn(), Squares(), replace(CONFIG, out=tmp_path / "whole"))
    killed = tmp_path / "killed"
    threads = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(killed)], cwd=ROOT, env={**os.environ, **threads}
    )
    wait_until(lambda: _steps_logged(killed) >= 5, child)
    child.send_signal(signal.SIGKILL)
    child.wait()
    left_at = Checkpoint.load(killed / "checkpoint.pt").step
    assert 3 <= left_at < CONFIG.steps
    assert not (killed / "model.safetensors").exists()

    # Other weights and another random state: everything has to come from the checkpoint.
    torch.manual_seed(99)
    history = train(tiny_fcn(seed=7), Squares(), replace(CONFIG, out=killed), resume=True)
    assert history.losses == whole.losses
    assert history.lr == whole.lr
    one, two = (Checkpoint.load(tmp_path / run / "checkpoint.pt") for run in ("whole", "killed"))
    for part in ("model", "ema"):
        for name, value in getattr(one, part).items():
            assert torch.equal(value, getattr(two, part)[name]), (part, name)
    for slot, values in one.optimizer["state"].items():
        for name, value in values.items():
            assert torch.equal(value, two.optimizer["state"][slot][name])
    rows = [json.loads(line) for line in (killed / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "loss" in row] == list(range(1, CONFIG.steps + 1))
    final = [pretrained.load(tmp_path / run).state_dict() for run in ("whole", "killed")]
    assert all(torch.equal(final[0][name], final[1][name]) for name in final[0])


def _steps_logged(folder: Path) -> int:
    log = folder / "log.jsonl"
    return log.read_text().count('"loss"') if log.exists() else 0


def _stopped_run(folder: Path) -> TrainConfig:
    """A run of 14 steps that was stopped after 4."""

    def stop(progress) -> None:
        if progress.step == 4:
            os.kill(os.getpid(), signal.SIGINT)

    config = replace(CONFIG, out=folder)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_fcn(), Squares(), config, stop)
    return config


def test_resume_refuses_what_would_be_another_run(tmp_path):
    config = _stopped_run(tmp_path)
    with pytest.raises(SeglibError, match=r"made with lr=0.01, not 0.5"):
        train(tiny_fcn(), Squares(), replace(config, lr=0.5), resume=True)
    with pytest.raises(SeglibError, match="12 images of squares"):
        train(tiny_fcn(), Squares(11), config, resume=True)
    with pytest.raises(SeglibError, match="was made with another model"):
        train(tiny_fcn(head_width=16), Squares(), config, resume=True)
    with pytest.raises(SeglibError, match="no checkpoint at"):
        train(tiny_fcn(), Squares(), replace(config, out=tmp_path / "other"), resume=True)
    with pytest.raises(SeglibError, match="set out"):
        train(tiny_fcn(), Squares(), replace(config, out=None), resume=True)


def test_resume_keeps_the_recorded_precision(tmp_path):
    config = _stopped_run(tmp_path)
    asked = replace(config, precision="auto", channels_last=None)
    history = train(tiny_fcn(), Squares(), asked, resume=True)
    assert (history.config.precision, history.config.channels_last) == ("fp32", True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda saved: replace(saved, threads=77), "had 77 threads and now has"),
        (lambda saved: _on(saved, "cuda"), "was on cuda and is now on cpu"),
    ],
)
def test_what_keeps_a_resumed_run_from_being_identical_is_said(tmp_path, caplog, change, words):
    config = _stopped_run(tmp_path)
    path = tmp_path / "checkpoint.pt"
    change(Checkpoint.load(path)).save(path)
    train(tiny_fcn(), Squares(), config, resume=True)
    (message,) = [record.getMessage() for record in caplog.records]
    assert words in message
    assert "its last digits will differ" in message


def _on(saved: Checkpoint, device: str) -> Checkpoint:
    settings = {**saved.history["config"], "device": device}
    return replace(saved, history={**saved.history, "config": settings})


def test_a_resumed_run_that_is_identical_logs_nothing(tmp_path, caplog):
    config = _stopped_run(tmp_path)
    assert Checkpoint.load(tmp_path / "checkpoint.pt").history["config"]["device"] == "cpu"
    train(tiny_fcn(), Squares(), config, resume=True)
    assert caplog.records == []


def test_a_finished_run_resumes_to_its_model_without_training(tmp_path):
    config = replace(CONFIG, steps=2, out=tmp_path)
    trained = tiny_fcn()
    history = train(trained, Squares(), config)
    (tmp_path / "model.safetensors").unlink()  # killed after the last checkpoint
    again = tiny_fcn(seed=7)
    assert train(again, Squares(), config, resume=True).losses == history.losses
    loaded = pretrained.load(tmp_path).state_dict()
    for name, value in trained.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        assert torch.equal(value, loaded[name])


def test_damaged_and_foreign_checkpoints_are_named(tmp_path):
    _stopped_run(tmp_path)
    path = tmp_path / "checkpoint.pt"
    content = path.read_bytes()
    odd = (b"\x80\x02.", b"\x80\x02X\x01.")  # torch's reader ends in IndexError, struct.error
    for damaged in (content[: len(content) // 2], b"", b"not a checkpoint", *odd):
        path.write_bytes(damaged)
        with pytest.raises(SeglibError, match=r"checkpoint\.pt is damaged or is not a checkpoint"):
            Checkpoint.load(path)
    torch.save({"weights": torch.zeros(2)}, path)
    with pytest.raises(SeglibError, match="not a checkpoint of this version"):
        Checkpoint.load(path)


def test_loading_a_checkpoint_runs_no_code(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (Path(tmp_path / "exploded").touch, ())

    torch.save({"format": 1, "step": Bomb()}, tmp_path / "checkpoint.pt")
    with pytest.raises(SeglibError):
        Checkpoint.load(tmp_path / "checkpoint.pt")
    assert not (tmp_path / "exploded").exists()


def test_failed_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    write_atomic(path, lambda stream: stream.write(b"good"))

    def half(stream) -> None:
        stream.write(b"ba")
        raise OSError(28, "No space left on device")

    with pytest.raises(SeglibError, match=r"cannot write .*file: No space left on device"):
        write_atomic(path, half)
    assert path.read_bytes() == b"good"


def test_random_state_can_be_saved_and_restored():
    with random_state_kept():
        seed_everything(3)
        state = rng_state()
        first = torch.rand(2).tolist()
        set_rng_state(state)
        assert torch.rand(2).tolist() == first


def _put(**fields: object) -> object:
    return lambda values: {**values, **fields}


def _without(name: str) -> object:
    return lambda values: {key: value for key, value in values.items() if key != name}


def _in_history(change) -> object:
    return lambda values: {**values, "history": change(values["history"])}


def _in_config(change) -> object:
    return _in_history(lambda history: {**history, "config": change(history["config"])})


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (_without("data"), "data is missing"),
        (_put(extra=1), "extra is unknown"),
        (_put(step="two"), "step is damaged"),
        (_put(model={"weight": 1}), "model is damaged"),
        (_put(optimizer={}), "optimizer is damaged"),
        (_put(optimizer={"state": {}, "param_groups": [1]}), "optimizer is damaged"),
        (_put(rng=[{}]), "rng is damaged"),
        (_put(rng=[]), "rng is damaged"),
        (_put(rng=[{"torch": torch.zeros(2), "numpy": [], "python": []}]), "rng is damaged"),
        (_put(history=None), "history is damaged"),
        (_in_history(_without("config")), "history is damaged"),
        (_in_history(_put(config=None)), "history is damaged"),
        (_in_history(_put(losses=[1.0])), "history is damaged"),
        (_in_history(_put(lr=["x"] * 4)), "history is damaged"),
        (_in_history(_put(validation=[{}])), "history is damaged"),
        (_in_config(_put(newfield=1)), "history is damaged"),
        (_in_config(_put(steps="two")), "history is damaged"),
        (_put(ema=None), "ema is damaged"),
        (_put(ema={}), "ema is damaged"),
        (_put(data=None), "data is damaged"),
        (_put(threads="4"), "threads is damaged"),
    ],
)
def test_a_checkpoint_that_lacks_something_names_it(stopped, tmp_path, change, fault):
    path = tmp_path / "checkpoint.pt"
    torch.save(change(torch.load(stopped / "checkpoint.pt", weights_only=True)), path)
    network = tiny_fcn()
    before = torch.get_rng_state()
    with pytest.raises(SeglibError, match=rf"this version of seglib \({fault}\)"):
        train(network, Squares(), replace(CONFIG, out=tmp_path), resume=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stopped")
    _stopped_run(folder)
    return folder


class BrokenAt(Squares):
    """Validation images of which one cannot be read, once `broken` is set."""

    broken = False

    def __getitem__(self, index: int):
        if self.broken:
            raise SeglibError("image 100 is damaged")
        return super().__getitem__(index)


@pytest.mark.parametrize("fails_at", [2, 4])
def test_a_failing_validation_loses_no_step_and_is_repeated(tmp_path, fails_at):
    config = replace(CONFIG, steps=4, eval_every=2, eval_limit=3, checkpoint_every=0)
    whole = train(
        tiny_fcn(), Squares(), replace(config, out=tmp_path / "whole"), validation=Squares(4)
    )
    failing = replace(config, out=tmp_path / "failing")
    validation = BrokenAt(4)

    def break_it(progress) -> None:
        validation.broken = progress.step == fails_at

    with pytest.raises(SeglibError, match="image 100 is damaged"):
        train(tiny_fcn(), Squares(), failing, break_it, validation=validation)
    assert Checkpoint.load(tmp_path / "failing" / "checkpoint.pt").step == fails_at
    validation.broken = False
    resumed = train(tiny_fcn(seed=7), Squares(), failing, validation=validation, resume=True)
    assert resumed.losses == whole.losses
    assert resumed.validation == whole.validation
    saved = Checkpoint.load(tmp_path / "failing" / "checkpoint.pt").history
    assert saved["validation"] == whole.validation
