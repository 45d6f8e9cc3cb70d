"""Compare Mask R-CNN's training step, RoIAlign and NMS with torchvision's, in one run.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_two_stage [CASE…]

Both sides have the same network, weights, images, true objects, numbers of proposals and of sampled
boxes, and frozen norms; each uses its faster memory format. They run in turns, and the result is
the median ratio of neighbouring runs, so that a busy machine slows both alike. Peak memory is
measured in a separate process for each side.
"""

from __future__ import annotations

import argparse
import multiprocessing
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import MaskRCNN as TheirMaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
from torchvision.ops import FrozenBatchNorm2d

from seglib import ops
from seglib.comparison import medians, ratios, seconds, seconds_in_turns
from seglib.models.mask_rcnn import MaskRCNN
from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.pretrained.torchvision_names import mask_rcnn_names
from seglib.structures import Categories, Category, Target

CLASSES = 10
OBJECTS = 6


@dataclass(frozen=True)
class Case:
    """One training step: the backbone, the side of the square images in px, and their number."""

    backbone: str
    side: int
    batch: int


STEPS = {
    "resnet18": Case("resnet18", 128, 8),
    "resnet50": Case("resnet50", 320, 2),
}


def scene(case: Case) -> tuple[list[Tensor], list[Target]]:
    """Random images, each with elliptic objects of a tenth to a half of its side."""
    generator = torch.Generator().manual_seed(0)
    images, targets = [], []
    y, x = torch.meshgrid(torch.arange(case.side), torch.arange(case.side), indexing="ij")
    for number in range(case.batch):
        half = case.side * (0.05 + 0.2 * torch.rand(OBJECTS, 2, generator=generator))
        center = half + torch.rand(OBJECTS, 2, generator=generator) * (case.side - 2 * half)
        distance = sum(
            ((axis + 0.5 - center[:, i, None, None]) / half[:, i, None, None]) ** 2
            for i, axis in enumerate((x, y))
        )
        masks = distance <= 1
        images.append(torch.rand(3, case.side, case.side, generator=generator))
        targets.append(
            Target(
                boxes=torch.cat([center - half, center + half], dim=1),
                labels=torch.randint(1, CLASSES + 1, (OBJECTS,), generator=generator),
                masks=masks,
                iscrowd=torch.zeros(OBJECTS, dtype=torch.bool),
                area=masks.sum((1, 2)).float(),
                size=(case.side, case.side),
                image_id=number,
            )
        )
    return images, targets


def their_step(case: Case) -> tuple[nn.Module, Callable[[], Tensor]]:
    """torchvision's model in training, and its loss."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name=case.backbone, weights=None, trainable_layers=3, norm_layer=FrozenBatchNorm2d
    )
    model = TheirMaskRCNN(backbone, CLASSES + 1, min_size=case.side, max_size=case.side).train()
    images, targets = scene(case)
    truth = [
        {"boxes": t.boxes, "labels": t.labels, "masks": t.masks.to(torch.uint8)} for t in targets
    ]
    return model, lambda: sum(model(images, truth).values())


def our_step(case: Case) -> tuple[nn.Module, Callable[[], Tensor]]:
    """The same model, weight for weight, as seglib's."""
    small = case.backbone == "resnet18"
    config = replace(
        MaskRCNNConfig.paper(),
        min_size=case.side,
        max_size=case.side,
        blocks=(2, 2, 2, 2) if small else (3, 4, 6, 3),
        bottleneck=not small,
    )
    categories = Categories(Category(n, n, f"thing{n}") for n in range(1, CLASSES + 1))
    model = MaskRCNN(config, categories).train()
    model.load_state_dict(mask_rcnn_names(their_step(case)[0].state_dict()))
    images, targets = scene(case)
    return model, lambda: sum(model.loss(images, targets).values())


SIDES = {"ours": our_step, "torchvision": their_step}


def prepared(side: str, case: Case, channels_last: bool) -> Callable[[], None]:
    """A complete training step of one side: forward, backward, update."""
    model, loss = SIDES[side](case)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
    learning = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(learning, lr=1e-4, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def best_format(side: str, case: Case, trials: int) -> bool:
    """Whether a side is faster with channels last."""
    times = {}
    for last in (False, True):
        step = prepared(side, case, last)
        step()
        times[last] = min(seconds(step) for _ in range(trials))
    return times[True] < times[False]


def peak_memory(side: str, case: Case, channels_last: bool, queue: multiprocessing.Queue) -> None:
    """MiB that three steps add to a new process in which the model is built."""
    torch.set_num_threads(1)
    step = prepared(side, case, channels_last)
    before = highest_use()
    for _ in range(3):
        step()
    queue.put(highest_use() - before)


def highest_use() -> float:
    """The most memory, in MiB, that this process has held so far.

    Read from Linux's status file: getrusage starts from the parent's figure, which is larger.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)) / 1024


def memory_of(side: str, case: Case, channels_last: bool) -> float:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=peak_memory, args=(side, case, channels_last, queue))
    process.start()
    added = float(queue.get())
    process.join()
    return added


def in_turns(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[float, float, list[float]]:
    """Median seconds of both, and the sorted ratios of neighbours; the first round warms up."""
    times = seconds_in_turns({"ours": ours, "theirs": theirs}, rounds, clock)
    typical = medians(times)
    return typical["ours"], typical["theirs"], ratios(times, "theirs")["ours"]


def report(name: str, result: tuple[float, float, list[float]], note: str = "") -> None:
    ours, theirs, shares = result
    print(
        f"{name}: {1e3 * ours:.1f} ms, torchvision {1e3 * theirs:.1f} ms, ratio "
        f"{statistics.median(shares):.2f} ({shares[0]:.2f}…{shares[-1]:.2f}){note}",
        flush=True,
    )


def bench_step(case: Case, rounds: int) -> None:
    """One line: time and memory of a training step."""
    formats = {side: best_format(side, case, trials=1) for side in SIDES}
    steps = {side: prepared(side, case, formats[side]) for side in SIDES}
    result = in_turns(steps["ours"], steps["torchvision"], rounds)
    steps.clear()
    memory = {side: memory_of(side, case, formats[side]) for side in SIDES}
    shown = ", ".join(
        f"{side} {memory[side]:.0f} MiB {'channels last' if formats[side] else 'planar'}"
        for side in SIDES
    )
    name = f"training step, {case.backbone} FPN, {case.side} px, batch {case.batch}, fp32"
    report(name, result, f"; peak: {shown}")


def bench_roi_align(rounds: int) -> None:
    """The boxes of one pyramid level, forward and backward, in each side's faster format."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(1, 256, 80, 80, generator=generator)
    center = torch.rand(512, 2, generator=generator) * 80
    half = (torch.rand(512, 2, generator=generator) + 1) * 7
    rois = torch.cat([torch.zeros(512, 1), center - half, center + half], dim=1)
    rois[:, 1:].clamp_(0, 80)
    for bins in (7, 14):
        gradient = torch.randn(512, 256, bins, bins, generator=generator)

        def pooling(
            function: Callable[..., Tensor], layout: torch.memory_format, gradient: Tensor
        ) -> Callable[[], None]:
            leaf = features.contiguous(memory_format=layout).requires_grad_()
            gradient = gradient.contiguous(memory_format=layout)
            return lambda: function(leaf, rois, gradient.shape[-1], 1.0, 2, False).backward(
                gradient
            )

        ours = pooling(ops.roi_align, torch.channels_last, gradient)
        theirs = pooling(torchvision.ops.roi_align, torch.contiguous_format, gradient)
        report(f"RoIAlign of 512 boxes, {bins} bins", in_turns(ours, theirs, rounds))


def bench_nms(rounds: int) -> None:
    """2,000 boxes of 10 to 110 px, from crowded to scattered."""
    generator = torch.Generator().manual_seed(0)
    for field in (200, 600, 3000):
        center = torch.rand(2000, 2, generator=generator) * field
        half = torch.rand(2000, 2, generator=generator) * 50 + 5
        boxes = torch.cat([center - half, center + half], dim=1)
        scores = torch.rand(2000, generator=generator)
        result = in_turns(
            lambda b=boxes, s=scores: ops.nms(b, s, 0.7),
            lambda b=boxes, s=scores: torchvision.ops.nms(b, s, 0.7),
            3 * rounds,
        )
        report(f"NMS of 2000 boxes in {field} px, threshold 0.7", result)


def main() -> None:
    """Print a line for every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help="resnet18, resnet50, roi_align, nms; else all")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = arguments.cases or [*STEPS, "roi_align", "nms"]
    for name, case in STEPS.items():
        if name in chosen:
            bench_step(case, arguments.rounds)
    if "roi_align" in chosen:
        bench_roi_align(arguments.rounds)
    if "nms" in chosen:
        bench_nms(arguments.rounds)


if __name__ == "__main__":
    main()
