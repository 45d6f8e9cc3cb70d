"""One writer at a time: locks between processes and threads."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from seglib.errors import SeglibError
from seglib.locks import BusyError, locked
from seglib.training import TrainConfig, train
from tests.fakes import Squares, tiny_fcn
from tests.helpers import ROOT, wait_until

HOLDER = """
import sys, time
from pathlib import Path
from seglib.locks import locked
with locked(Path(sys.argv[1]), wait=False):
    Path(sys.argv[2]).touch()
    time.sleep(60)
"""
CONFIG = TrainConfig(steps=2, batch_size=4, lr=1e-2)


@pytest.fixture
def held(tmp_path):
    """A function that lets a child process hold a lock file."""
    children = []

    def hold(path):
        ready = tmp_path / "ready"
        command = [sys.executable, "-c", HOLDER, str(path), str(ready)]
        child = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)})
        children.append(child)
        wait_until(ready.exists, child)
        return child

    yield hold
    for child in children:
        child.kill()
        child.wait()


def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path, held):
    path = tmp_path / "folder" / ".lock"
    child = held(path)
    refused = pytest.raises(BusyError, match=rf"folder is in use by process {child.pid} on ")
    with refused, locked(path, wait=False):
        pass
    child.send_signal(signal.SIGKILL)
    child.wait()
    with locked(path, wait=False):
        assert path.read_text().startswith(f"process {os.getpid()} on ")
    assert not path.exists()


def test_waiting_is_said_and_ends_with_the_other_process(tmp_path, held, caplog):
    path = tmp_path / ".lock"
    child = held(path)
    threading.Timer(0.3, child.kill).start()
    with caplog.at_level(logging.WARNING), locked(path, wait=True):
        assert "waiting for it to finish" in caplog.text


def test_a_thread_may_enter_twice_and_another_may_not(tmp_path):
    path = tmp_path / "new" / ".lock"
    refused = []

    def other() -> None:
        try:
            with locked(path, wait=False):
                pass
        except BusyError as error:
            refused.append(error)

    with locked(path, wait=False):
        with locked(path, wait=False):
            pass
        assert path.exists()
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert len(refused) == 1
    assert not path.parent.exists()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / ".lock").mkdir()
    refused = pytest.raises(SeglibError, match=r"cannot write .*\.lock: Is a directory")
    with refused, locked(tmp_path / ".lock", wait=False):
        pass


def test_two_runs_cannot_share_a_folder(tmp_path, held):
    run = tmp_path / "run"
    child = held(run / ".training.lock")
    with pytest.raises(SeglibError, match=rf"run is in use by process {child.pid} .* training: "):
        train(tiny_fcn(), Squares(), replace(CONFIG, out=run))
    assert [file.name for file in run.iterdir()] == [".training.lock"]
    child.kill()
    child.wait()
    train(tiny_fcn(), Squares(), replace(CONFIG, out=run))
    assert sorted(file.name for file in run.iterdir()) == [
        "checkpoint.pt",
        "log.jsonl",
        "model.safetensors",
    ]
