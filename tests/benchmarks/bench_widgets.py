"""CPU time of each explorer of the lessons per change of a control; run this file.

A change recomputes the numbers, redraws the picture and puts it into the widget's state. Images
and models are those that are shipped. The processor's time counts, since a machine may be busy.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from seglib import widgets
from seglib.comparison import seconds
from seglib.data import load_dataset
from seglib.pretrained import load
from seglib.structures import Categories, Target
from seglib.widgets import Explorer, StagedImage


@dataclass(frozen=True)
class Scene:
    """A shipped image with its objects."""

    image: Tensor
    target: Target
    categories: Categories

    def model(self, name: str) -> Any:
        """A shipped model."""
        return load(name, self.categories)


def crowded_scene() -> Scene:
    """The image with the most objects among the first shipped ones."""
    dataset = load_dataset("pocket", split="val", size=128)
    samples = [dataset[number] for number in range(10)]
    image, target = max(samples, key=lambda sample: len(sample[1]))
    return Scene(image, target[~target.iscrowd], dataset.categories)


def jittered(boxes: Tensor, copies: int) -> Tensor:
    """Each box several times, shifted by up to 4 px: [copies · N, 4]."""
    noise = torch.rand(copies, *boxes.shape, generator=torch.Generator().manual_seed(0))
    return (boxes + 8 * noise - 4).flatten(0, 1)


def cascade_stages(scene: Scene) -> Explorer:
    """Twelve images with 100 boxes in each of four stages."""
    boxes = scene.target.boxes
    proposals = jittered(boxes, 100 // len(boxes))
    truth = boxes.repeat(len(proposals) // len(boxes), 1)
    stages = [proposals + (truth - proposals) * share for share in (0, 0.3, 0.5, 0.6)]
    return widgets.CascadeStages([StagedImage(scene.image, boxes, stages)] * 12)


def nms_stepper(scene: Scene) -> Explorer:
    """Five boxes for each object."""
    boxes = jittered(scene.target.boxes, 5)
    scores = torch.rand(len(boxes), generator=torch.Generator().manual_seed(0))
    return widgets.NMSStepper(scene.image, boxes, scores, names=["object"] * len(boxes))


def skip_mixer(scene: Scene) -> Explorer:
    """Random scores of three strides."""
    generator = torch.Generator().manual_seed(0)
    classes = len(scene.categories) + 1
    scores = {
        f"stride {n}": torch.rand(classes, 128 // n, 128 // n, generator=generator)
        for n in (32, 16, 8)
    }
    return widgets.SkipMixer(scene.image, scores, scene.target.semantic, scene.categories)


def mixing_desk(scene: Scene) -> Explorer:
    """The anchor that overlaps the largest object most."""
    model = scene.model("yolact")
    with torch.no_grad():
        anchors = model([scene.image]).anchors
    largest = scene.target.boxes[scene.target.area.argmax()]
    chosen = (anchors - largest).abs().sum(dim=1).argmin()
    return widgets.MixingDesk(model, scene.image, {"object": int(chosen)})


@dataclass(frozen=True)
class Case:
    """An explorer, the control that is moved, and its values in turn."""

    build: Callable[[Scene], Explorer]
    control: str
    values: Sequence[Any]


PLACES = tuple(range(30, 90, 4))
CASES = {
    "IoUExplorer": Case(lambda s: widgets.IoUExplorer(), "threshold", (0.3, 0.5, 0.7, 0.9)),
    "ConvolutionStepper": Case(lambda s: widgets.ConvolutionStepper(), "position", range(25)),
    "ReceptiveField": Case(lambda s: widgets.ReceptiveField(s.image), "layers", range(2, 7)),
    "SkipMixer": Case(skip_mixer, "stride 8", (0.0, 0.3, 0.6, 0.9, 1.2)),
    "SlidingWindow": Case(
        lambda s: widgets.SlidingWindow(s.model("deepmask"), s.image, s.target), "x", PLACES
    ),
    "NMSStepper": Case(nms_stepper, "step", range(1, 9)),
    "AnchorExplorer": Case(
        lambda s: widgets.AnchorExplorer(s.image, s.target.boxes), "size", range(12, 48, 4)
    ),
    "CascadeStages": Case(cascade_stages, "IoU threshold", (0.4, 0.5, 0.6, 0.7, 0.8)),
    "MixingDesk": Case(mixing_desk, "crop", ("off", "to the box")),
    "CellMasks": Case(
        lambda s: widgets.CellMasks(s.model("solo"), s.image), "across", range(4, 124, 16)
    ),
    "PolarExplorer": Case(
        lambda s: widgets.PolarExplorer(s.image, s.target.masks), "across", PLACES
    ),
    "AttentionViewer": Case(
        lambda s: widgets.AttentionViewer(s.model("detr"), s.image), "query", range(1, 20)
    ),
    "MatchingViewer": Case(
        lambda s: widgets.MatchingViewer(s.model("detr"), s.image, s.target),
        "class",
        (0.0, 1.0, 2.0, 4.0, 8.0),
    ),
    "QueryViewer": Case(
        lambda s: widgets.QueryViewer(s.model("maskformer"), s.image), "query", range(1, 20)
    ),
}


def measured(case: Case, scene: Scene, changes: int) -> tuple[list[float], float]:
    """Milliseconds of each change, sorted, and the median size of the pictures in kB."""
    explorer = case.build(scene)
    control = explorer.controls[case.control]
    times, sizes = [], []
    for number in range(changes + 1):
        value = case.values[number % len(case.values)]
        if value == control.value:
            continue
        took = seconds(partial(setattr, control, "value", value), time.process_time)
        times.append(1e3 * took)
        sizes.append(len(explorer._picture.value) / 1e3)
    return sorted(times[1:]), statistics.median(sizes)


def main() -> None:
    """Print one line per explorer."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"{', '.join(CASES)}; by default all")
    parser.add_argument("--changes", type=int, default=9)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    scene = crowded_scene()
    print(f"{'explorer':20}{'control':16}{'ms':>5}{'fastest':>10}{'slowest':>10}{'picture':>12}")
    for name in arguments.cases or CASES:
        times, size = measured(CASES[name], scene, arguments.changes)
        median, fastest, slowest = statistics.median(times), times[0], times[-1]
        print(
            f"{name:20}{CASES[name].control:16}{median:5.0f}{fastest:10.0f}{slowest:10.0f}"
            f"{size:9.0f} kB",
            flush=True,
        )


if __name__ == "__main__":
    main()
