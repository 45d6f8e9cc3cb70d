"""`kill -9` at random moments of long jobs: nothing is lost, and the next call finishes them.

`python -m pytest -s tests/test_kills.py -m slow` prints how many of the kills met a running job.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nbformat
import psutil
import pytest
import torch

from seglib import pretrained
from seglib.data.pocket import write_split
from seglib.training import TrainConfig, train
from tests.fakes import Squares, tiny_fcn
from tests.faulty_server import serve
from tests.helpers import ROOT
from tests.remote_coco import build_remote, check_folder

KILLS = 20
WORKERS_END = 30  # seconds until a killed job's helper processes must have noticed
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

CONFIG = TrainConfig(steps=60, batch_size=4, lr=1e-2, ema=0.9, augment=True, checkpoint_every=1)
TRAIN = """
from dataclasses import replace
from seglib.training import train
from tests.fakes import Squares, tiny_fcn
from tests.test_kills import CONFIG
resume = (out / "checkpoint.pt").exists()
print("ready", flush=True)
train(tiny_fcn(), Squares(), replace(CONFIG, out=out), resume=resume)
"""
DRAW = """
from seglib.data.pocket import write_split
print("ready", flush=True)
write_split(out, "val", 60, seed=2, processes=2, progress=False)
"""
FETCH = """
from seglib.data.mini import MiniRequest, fetch_mini
print("ready", flush=True)
fetch_mini(MiniRequest(("dog", "person"), 10, url=sys.argv[2], workers=2), out, False)
"""
LESSONS = """
import seglib.workshop
for name in ("build", "execute"):
    sys.modules[f"seglib.workshop.{name}"].lessons_folder = lambda: out
print("ready", flush=True)
seglib.workshop.run()
"""


def job(script: str, out: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a script in a process of its own and wait until its imports are done."""
    settings = {"OMP_NUM_THREADS": str(torch.get_num_threads()), "PYTHONPATH": str(ROOT)}
    head = "import sys\nfrom pathlib import Path\nout = Path(sys.argv[1])\n"
    child = subprocess.Popen(
        [sys.executable, "-c", head + script, str(out), *arguments],
        cwd=ROOT,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def finish(child: subprocess.Popen[bytes]) -> float:
    """Let a job end well; returns its seconds."""
    start = time.perf_counter()
    _, words = child.communicate()
    assert child.returncode == 0, words.decode()
    return time.perf_counter() - start


def kill_at_random(
    start: Callable[[], subprocess.Popen[bytes]],
    longest: float,
    chance: random.Random,
    after: Callable[[], None] = lambda: None,
) -> bool:
    """Start the job and kill it at a random moment of `longest` seconds.

    Its helper processes must end by themselves, and `after` looks at what is left.

    Returns:
        whether it was still running.
    """
    child = start()
    time.sleep(chance.uniform(0, longest))
    helpers = psutil.Process(child.pid).children(recursive=True) if child.poll() is None else []
    child.kill()
    child.communicate()
    assert psutil.wait_procs(helpers, timeout=WORKERS_END)[1] == []
    after()
    return child.returncode != 0


def report(what: str, hits: list[bool]) -> None:
    print(f"{what}: {len(hits)} kills, {sum(hits)} of them of a running job")
    assert sum(hits) >= KILLS // 2  # the others came after its end


def test_training_ends_with_the_same_bits(tmp_path):
    start = time.perf_counter()
    train(tiny_fcn(), Squares(), replace(CONFIG, out=tmp_path / "whole"))
    longest = 0.5 * (time.perf_counter() - start)
    expected = pretrained.load(tmp_path / "whole").state_dict()
    chance, hits = random.Random(0), []
    while sum(hits) < KILLS:
        out = tmp_path / f"run{len(hits)}"
        hits += [kill_at_random(lambda out=out: job(TRAIN, out), longest, chance) for _ in range(5)]
        finish(job(TRAIN, out))
        found = pretrained.load(out).state_dict()
        assert all(torch.equal(found[name], expected[name]) for name in expected)
        names = sorted(path.name for path in out.iterdir())
        assert names == ["checkpoint.pt", "log.jsonl", "model.safetensors"]
    report("training", hits)


def test_drawing_leaves_no_draft_and_the_same_pictures(tmp_path):
    expected = write_split(tmp_path / "whole", "val", 60, seed=2, processes=2, progress=False)
    longest = finish(job(DRAW, tmp_path / "timed"))
    out, chance = tmp_path / "out", random.Random(1)

    def never_half_drawn() -> None:
        drawn = out / "val"
        assert not drawn.exists() or len(list(drawn.glob("*.png"))) == 60

    hits = [
        kill_at_random(lambda: job(DRAW, out), longest, chance, never_half_drawn)
        for _ in range(KILLS)
    ]
    assert write_split(out, "val", 60, seed=2, processes=2, progress=False) == expected
    assert not list(out.glob(".*"))
    report("drawing", hits)


def test_fetching_resumes_where_it_stopped(tmp_path):
    remote = build_remote(tmp_path / "remote")
    with serve(remote) as server:
        longest = finish(job(FETCH, tmp_path / "timed", server.url))
        chance, hits = random.Random(2), []
        while len(hits) < KILLS:
            out = tmp_path / f"mini{len(hits)}"
            hits += [
                kill_at_random(lambda out=out: job(FETCH, out, server.url), longest, chance)
                for _ in range(4)
            ]
            finish(job(FETCH, out, server.url))
            check_folder(out)
            assert not [path for path in out.rglob("*") if path.suffix == ".part"]
            assert not list(out.rglob(".*"))
    report("fetching", hits)


def test_refreshing_lessons_leaves_whole_notebooks(tmp_path):
    out = tmp_path / "lessons"
    (out / "source").mkdir(parents=True)
    cell = '# %% id="one"\nprint({number} + 1)\n'
    for number in range(2):
        (out / "source" / f"0{number}_short.py").write_text(cell.format(number=number))
    longest = finish(job(LESSONS, out))
    expected = {path.name: path.read_bytes() for path in out.glob("*.ipynb")}
    assert len(expected) == 2

    def whole_or_absent() -> None:
        for path in out.glob("*.ipynb"):
            nbformat.validate(nbformat.read(path, as_version=4))

    chance, hits = random.Random(3), []
    for _ in range(KILLS):
        for path in out.glob("*.ipynb"):
            path.unlink()
        hits.append(kill_at_random(lambda: job(LESSONS, out), longest, chance, whole_or_absent))
    finish(job(LESSONS, out))
    assert {path.name: path.read_bytes() for path in out.glob("*.ipynb")} == expected
    assert not list(out.glob(".*"))
    report("refreshing lessons", hits)
