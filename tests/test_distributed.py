"""Two processes with half a batch each take the step that one process takes with the whole."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import torch

from seglib.distributed import image_generators
from seglib.training import TrainConfig, train
from tests.fakes import Squares, tiny_fcn
from tests.helpers import HANG_SECONDS, ROOT

CONFIG = TrainConfig(steps=1, batch_size=6, lr=1e-2, clip=0.0, augment=True, seed=3)
STEPS = 4

# Run by torchrun in every process: the first step's gradients, then a run of several steps,
# then the same run again, stopped by one process in the middle and resumed by both.
WORKER = """
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
import torch
from seglib.distributed import process_group, rank, world_size
from seglib.training import train
from tests.test_distributed import CONFIG, STEPS, model, gradients
from tests.fakes import Squares

out = Path(sys.argv[1])
with process_group(torch.device("cpu")):
    number, world = rank(), world_size()
    found = gradients()
    longer = model()
    config = replace(CONFIG, steps=STEPS, checkpoint_every=2, eval_every=2, out=out)
    history = train(longer, Squares(), config, validation=Squares())
    def stop(progress):
        if number == 1 and progress.step == 2:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = replace(config, out=out / "stopped")
    again = model()
    try:
        train(again, Squares(), stopped, stop)
    except KeyboardInterrupt:
        again = model()
        resumed = train(again, Squares(), stopped, resume=True)
torch.save(
    {
        "world": world,
        "gradients": found,
        "state": longer.state_dict(),
        "again": again.state_dict(),
        "resumed_losses": resumed.losses,
        "losses": history.losses,
    },
    out / f"rank{number}.pt",
)
"""


def model():
    """Dropout off and group norm: nothing depends on how the batch is shared out.

    The scores do not start at zero here, so that every layer has a gradient from the first step.
    """
    fresh = tiny_fcn(dropout=0.0)
    generator = torch.Generator().manual_seed(1)
    for name, parameter in fresh.named_parameters():
        if ".score_" in name:
            parameter.data.normal_(std=0.3, generator=generator)
    return fresh


def gradients() -> dict[str, torch.Tensor]:
    """The gradients of the first step: `train` leaves them in place after it."""
    trained = model()
    train(trained, Squares(), CONFIG)
    return {n: p.grad for n, p in trained.named_parameters() if p.grad is not None}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_equal_one(tmp_path):
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2",
        "--master-port", str(free_port()), str(tmp_path / "worker.py"), str(tmp_path),
    ]  # fmt: skip
    (tmp_path / "worker.py").write_text(WORKER)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=HANG_SECONDS
    )
    assert done.returncode == 0, done.stderr[-3000:]
    ranks = [torch.load(tmp_path / f"rank{r}.pt", weights_only=True) for r in (0, 1)]
    alone = gradients()
    assert len(alone) > 20
    total = torch.cat([gradient.flatten() for gradient in alone.values()]).norm()
    # A bias in front of a norm has a gradient of zero but for rounding: nothing to compare.
    compared = {n: g for n, g in alone.items() if g.norm() > 1e-5 * total}
    assert len(compared) > 15
    for found in ranks:
        assert found["world"] == 2
        for name, gradient in compared.items():
            difference = (found["gradients"][name] - gradient).norm() / gradient.norm()
            assert difference < 1e-5, (name, float(difference))
    assert all(torch.equal(v, ranks[1]["state"][n]) for n, v in ranks[0]["state"].items())
    assert all(torch.equal(v, ranks[0]["again"][n]) for n, v in ranks[0]["state"].items())

    assert ranks[0]["resumed_losses"] == ranks[0]["losses"]

    joined = train(model(), Squares(), CONFIG.__class__(**{**vars(CONFIG), "steps": STEPS}))
    torch.testing.assert_close(
        torch.tensor(ranks[0]["losses"]), torch.tensor(joined.losses), rtol=1e-4, atol=0
    )
    assert ranks[0]["losses"] == ranks[1]["losses"]


def test_an_images_chance_differs_from_step_to_step() -> None:
    torch.manual_seed(0)
    steps = [image_generators([7, 8]) for _ in range(20)]
    drawn = [float(torch.rand((), generator=g)) for generators in steps for g in generators]
    assert len(set(drawn)) == 40
    torch.manual_seed(0)
    assert float(torch.rand((), generator=image_generators([8])[0])) == drawn[1]
