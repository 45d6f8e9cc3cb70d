"""Check a GPU against the CPU: python tools/device_check.py (takes at most 4 minutes)

It runs the tests that need a GPU, compares the losses of two training steps of each model on both
devices, and prints images per second. Without a GPU, it only says so.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from seglib import pretrained
from seglib.data.datasets import load_dataset
from seglib.devices import find_device
from seglib.models import build_model, model_names
from seglib.models.base import Segmenter
from seglib.structures import Target
from seglib.training import TrainConfig, train_step
from seglib.training.random_state import seed_everything
from seglib.training.speed import memory_format, settle_by_rule

ROOT = Path(__file__).resolve().parents[1]
CPU = torch.device("cpu")
LARGEST_DIFFERENCE = 1e-4  # relative difference of a loss
COMPARED, TRAINED, PREDICTED = 2, 8, 2  # images per batch
REPEATS = 3
TEST_SECONDS = 120

Batch = tuple[list[Tensor], list[Target]]


def main() -> int:
    """Print the results; returns 0 if everything agrees or there is no GPU to check."""
    device = find_device("auto")
    if device.type == "cpu":
        print("there is no GPU, so nothing was checked")
        return 0
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
    print(f"checking {name} against the CPU, PyTorch {torch.__version__}")
    tests_pass = run_tests()
    table = Table("model", "largest loss difference", "trained images/s", "predicted images/s")
    table.title = f"CPU, {device.type}"
    agree = True
    for model in model_names():
        difference = loss_difference(model, device)
        agree &= difference <= LARGEST_DIFFERENCE
        rates = [images_per_second(model, place) for place in (CPU, device)]
        columns = (", ".join(f"{rate:.1f}" for rate in both) for both in zip(*rates, strict=True))
        table.add_row(model, f"{difference:.1e}", *columns)
    Console().print(table)
    print(f"tests {'passed' if tests_pass else 'FAILED'}; losses {'agree' if agree else 'DIFFER'}")
    return 0 if tests_pass and agree else 1


def run_tests() -> bool:
    """Run the device tests that need a CUDA GPU."""
    command = [sys.executable, "-m", "pytest", "-q", "tests/test_devices.py", "-k", "cuda"]
    return subprocess.run(command, cwd=ROOT, timeout=TEST_SECONDS).returncode == 0


def first_images(count: int) -> Batch:
    """The first images of Pocket COCO's validation split."""
    data = load_dataset("pocket", split="val", limit=count)
    images, targets = zip(*(data[index] for index in range(count)), strict=True)
    return list(images), list(targets)


def shipped_or_new(name: str, device: torch.device) -> Segmenter:
    """The shipped model of a paradigm, or one with random weights if none is shipped."""
    if name in pretrained.shipped_models():
        return pretrained.load(name, device=device)
    seed_everything(0)
    categories = load_dataset("pocket", split="val", limit=1).categories
    return build_model(name, categories).to(device).eval()


def loss_difference(name: str, device: torch.device) -> float:
    """The largest difference between the losses of two training steps, relative to the CPU's.

    Computed in float64, so that rounding does not change which boxes are kept and sampled.
    """
    here, there = (losses_of_two_steps(name, place) for place in (CPU, device))
    return max(abs(a - b) / max(abs(a), 1e-6) for a, b in zip(here, there, strict=True))


def losses_of_two_steps(name: str, device: torch.device) -> list[float]:
    """All losses of two training steps of a model."""
    model = shipped_or_new(name, device)
    if device.type != "mps":  # MPS has no float64
        model.double()
    for module in model.modules():
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            module.p = 0.0  # devices generate different random numbers
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    batch = first_images(COMPARED)
    seed_everything(0)
    return [
        value for _ in range(2) for value in train_step(model, *batch, optimizer, clip=1.0).values()
    ]


def images_per_second(name: str, device: torch.device) -> tuple[float, float]:
    """Images per second in training and prediction, with `seglib train`'s precision and layout."""
    config = settle_by_rule(TrainConfig(steps=1, precision="auto"), device)
    model = shipped_or_new(name, device).to(memory_format=memory_format(config))
    images, targets = first_images(TRAINED)
    predicting = seconds(lambda: model.predict(images[:PREDICTED]), device)
    training = seconds(training_step(model, images, targets, config.precision), device)
    return TRAINED / training, PREDICTED / predicting


def training_step(
    model: Segmenter, images: list[Tensor], targets: list[Target], precision: str
) -> Callable[[], object]:
    """A function that runs one training step each time it is called."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5)
    return lambda: train_step(model, images, targets, optimizer, precision=precision)


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """The median seconds of a call, after one call that is not timed."""
    times = []
    for _ in range(1 + REPEATS):
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return sorted(times[1:])[REPEATS // 2]


if __name__ == "__main__":
    sys.exit(main())
