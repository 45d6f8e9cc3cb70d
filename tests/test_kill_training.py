"""`kill -9` at random moments of training; the resumed run ends with the same bits."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from seglib import pretrained
from seglib.training import TrainConfig, train
from tests.fakes import Squares, tiny_fcn
from tests.helpers import ROOT

KILLS = 20
CONFIG = TrainConfig(steps=60, batch_size=4, lr=1e-2, ema=0.9, augment=True, checkpoint_every=1)
CHILD = """
import sys
from dataclasses import replace
from pathlib import Path
from seglib.training import train
from tests.fakes import Squares, tiny_fcn
from tests.test_kill_training import CONFIG
out = Path(sys.argv[1])
resume = (out / "checkpoint.pt").exists()
print("ready", flush=True)
train(tiny_fcn(), Squares(), replace(CONFIG, out=out), resume=resume)
"""


def _child(out: Path) -> subprocess.Popen[bytes]:
    settings = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(out)],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_kill_9_at_random_moments_changes_no_bit(tmp_path):
    started = time.perf_counter()
    train(tiny_fcn(), Squares(), replace(CONFIG, out=tmp_path / "whole"))
    whole_run = time.perf_counter() - started
    chance = random.Random(0)
    killed = 0
    while killed < KILLS:
        out = tmp_path / f"run{len(list(tmp_path.iterdir()))}"
        for _ in range(5):  # kills of one run, or fewer if it ends before
            child = _child(out)
            assert child.stdout is not None
            child.stdout.readline()
            time.sleep(chance.uniform(0, 0.5 * whole_run))
            child.kill()
            _, words = child.communicate()
            assert not words, words.decode()
            killed += child.returncode != 0
        child = _child(out)
        _, words = child.communicate()
        assert child.returncode == 0, words.decode()
        final = [pretrained.load(path).state_dict() for path in (tmp_path / "whole", out)]
        assert all(torch.equal(final[0][name], final[1][name]) for name in final[0])
        names = sorted(path.name for path in out.iterdir())
        assert names == ["checkpoint.pt", "log.jsonl", "model.safetensors"]
