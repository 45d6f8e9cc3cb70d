"""Compare DETR, MaskFormer, Mask2Former, attention and assignment with `transformers` and SciPy.

    OMP_NUM_THREADS=1 python -m tests.benchmarks.bench_transformers [CASE…]

Both sides have the same network (ResNet-50), weights, images and true objects, no dropout, and
losses for every decoder layer, which are compared first; each uses its faster memory format. Ours
begins with images and masks as a data set gives them, `transformers` with a normalised batch.

They run in turns, on one thread, and the result is the median ratio of neighbouring runs. What
counts is the time of the processor, so that other programs on a busy machine distort it less.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import process_time
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from seglib import ops
from seglib.comparison import seconds
from seglib.models.base import Segmenter
from seglib.models.detr import DETR, DETRConfig
from seglib.models.detr.objects import ObjectBatch, object_batch
from seglib.models.detr.segments import segment_batch
from seglib.models.maskformer import MaskFormer, MaskFormerConfig
from seglib.pretrained.transformers_names import (
    detr_state_from_transformers,
    mask2former_state_from_transformers,
    maskformer_state_from_transformers,
)
from seglib.structures import Target
from tests.benchmarks.bench_two_stage import Case, in_turns, scene
from tests.modelling import some_categories

CLASSES = 10
CASES = {
    "detr": Case("resnet50", 256, 2),
    "maskformer": Case("resnet50", 256, 2),
    "mask2former": Case("resnet50", 128, 2),
}
STAGES = ("stage1", "stage2", "stage3", "stage4")
CHECKED = 1e-3  # largest relative difference of the two losses, in float32


@dataclass
class Side:
    """One of the two compared implementations.

    Attributes:
        model: on the CPU.
        forward: computes the raw outputs for the images.
        loss: computes the sum of all losses for images and truth.
    """

    model: nn.Module
    forward: Callable[[], object]
    loss: Callable[[], Tensor]

    def step(self) -> Callable[[], None]:
        """A training step: forward, backward, update."""
        learning = [p for p in self.model.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=1e-6)

        def step() -> None:
            optimizer.zero_grad()
            self.loss().backward()
            optimizer.step()

        return step

    def evaluation(self) -> Callable[[], object]:
        """Outputs without gradients."""

        def run() -> object:
            with torch.inference_mode():
                return self.forward()

        return run


def our_side(model: Segmenter, images: list[Tensor], targets: list[Target]) -> Side:
    return Side(
        model.train(),
        lambda: model(images),
        lambda: torch.stack(list(model.loss(images, targets).values())).sum(),
    )


def truth(name: str) -> tuple[list[Tensor], list[Target]]:
    """Images with objects, without stuff."""
    images, targets = scene(CASES[name])
    for target in targets:
        target.semantic = torch.zeros(target.size, dtype=torch.int64)
    return images, targets


def detr() -> tuple[Side, Side]:
    """Ours and theirs, with boxes."""
    torch.manual_seed(0)
    options = {"num_queries": 100, "auxiliary_loss": True, "dropout": 0.0, "num_labels": CLASSES}
    config = transformers.DetrConfig(backbone_config=resnet50("stage4"), **options)
    theirs = transformers.DetrForObjectDetection(config).train()
    # As published; in version 5.24 they mean to, but freeze all stages.
    for name, parameter in theirs.model.backbone.named_parameters():
        parameter.requires_grad_(any(f"stages.{stage}" in name for stage in (1, 2, 3)))
    settings = replace(DETRConfig.paper(), min_size=None, dropout=0.0)
    model = DETR(settings, some_categories(CLASSES))
    model.load_state_dict(detr_state_from_transformers(theirs.state_dict()))
    images, targets = truth("detr")
    batch = model.prepare(images)
    objects = object_batch(images, targets, batch, CLASSES)
    labels = [
        {"class_labels": labels, "boxes": objects.boxes[image, : len(labels)]}
        for image, labels in enumerate(classes_of(objects))
    ]
    return our_side(model, images, targets), Side(
        theirs,
        lambda: theirs(batch.tensor),
        lambda: theirs(batch.tensor, labels=labels).loss,
    )


def classes_of(objects: ObjectBatch) -> list[Tensor]:
    """The labels of each image's objects as `transformers` count them: from 0."""
    return [objects.labels[image, :count] - 1 for image, count in enumerate(objects.counts)]


def maskformer() -> tuple[Side, Side]:
    """Ours and theirs, without an encoder on c5."""
    torch.manual_seed(0)
    decoder = transformers.DetrConfig(
        num_queries=100, dropout=0.0, backbone_config=None, auxiliary_loss=True
    )
    config = transformers.MaskFormerConfig(
        backbone_config=resnet50(*STAGES),
        decoder_config=decoder,
        num_labels=CLASSES,
        use_auxiliary_loss=True,
    )
    theirs = AllLayers(config)
    settings = replace(MaskFormerConfig.paper(), min_size=None, dropout=0.0)
    return mask_sides("maskformer", theirs, settings, maskformer_state_from_transformers)


class AllLayers(transformers.MaskFormerForInstanceSegmentation):
    """Theirs with outputs and losses of all layers, normalised as in the authors' code.

    Its own `forward` makes auxiliary outputs of states before the last normalisation, and of the
    decoder's input besides.
    """

    def forward(self, pixel_values: Tensor, **labels: Any) -> SimpleNamespace:
        module = self.model.pixel_level_module(pixel_values)
        decoded = self.model.transformer_module(module.encoder_last_hidden_state)
        states = SimpleNamespace(
            pixel_decoder_last_hidden_state=module.decoder_last_hidden_state,
            transformer_decoder_hidden_states=tuple(decoded.intermediate_hidden_states),
        )
        logits, masks, earlier = self.get_logits(states)
        loss = None
        if labels:
            terms = self.get_loss_dict(masks, logits, *labels.values(), earlier)
            loss = self.get_loss(terms)
        return SimpleNamespace(logits=logits, masks=masks, loss=loss)


def mask2former() -> tuple[Side, Side]:
    """Ours and theirs, with the deformable pixel decoder."""
    torch.manual_seed(0)
    config = transformers.Mask2FormerConfig(
        backbone_config=resnet50(*STAGES), num_labels=CLASSES, output_auxiliary_logits=True
    )
    theirs = transformers.Mask2FormerForUniversalSegmentation(config)
    settings = replace(MaskFormerConfig.paper("mask2former"), min_size=None)
    return mask_sides("mask2former", theirs, settings, mask2former_state_from_transformers)


def mask_sides(
    name: str,
    theirs: nn.Module,
    settings: MaskFormerConfig,
    state_of: Callable[[dict[str, Tensor]], dict[str, Tensor]],
) -> tuple[Side, Side]:
    model = MaskFormer(settings, some_categories(CLASSES))
    model.load_state_dict(state_of(theirs.state_dict()))
    images, targets = truth(name)
    batch = model.prepare(images, divisor=32)
    segments = segment_batch(images, targets, batch, model.categories)
    labels: dict[str, Any] = {
        "mask_labels": [
            segments.masks[image, :count].float() for image, count in enumerate(segments.counts)
        ],
        "class_labels": classes_of(segments),
    }
    return our_side(model, images, targets), Side(
        theirs.train(),
        lambda: theirs(batch.tensor),
        lambda: theirs(batch.tensor, **labels).loss.squeeze(),
    )


def resnet50(*stages: str) -> Any:
    return transformers.ResNetConfig(layer_type="bottleneck", out_features=list(stages))


NETWORKS = {"detr": detr, "maskformer": maskformer, "mask2former": mask2former}


def bench_network(name: str, rounds: int) -> None:
    """Two lines: forward without gradients, and a training step."""
    sides = NETWORKS[name]()
    ours, theirs = (side.loss().item() for side in sides)
    if name != "mask2former":  # its losses are computed at random points
        assert abs(ours - theirs) < CHECKED * theirs, f"losses {ours} and {theirs}"
    for kind in ("forward", "training step"):
        formats = []
        for side in sides:
            formats.append(faster_format(side, kind))
            side.model.to(memory_format=formats[-1])
        ours, theirs = (run_of(side, kind) for side in sides)
        note = ", ".join(str(layout).removeprefix("torch.") for layout in formats)
        title = f"{name}, {kind}, {CASES[name].side} px, batch {CASES[name].batch}, fp32"
        report(title, "transformers", in_turns(ours, theirs, rounds, process_time), f"; {note}")


def run_of(side: Side, kind: str) -> Callable[[], object]:
    return side.evaluation() if kind == "forward" else side.step()


def faster_format(side: Side, kind: str) -> torch.memory_format:
    """The memory format of the weights with which a side is faster."""
    times = {}
    for layout in (torch.contiguous_format, torch.channels_last):
        side.model.to(memory_format=layout)
        run = run_of(side, kind)
        run()
        times[layout] = min(seconds(run, process_time) for _ in range(2))
    return min(times, key=times.__getitem__)


def report(name: str, other: str, result: tuple[float, float, list[float]], note: str = "") -> None:
    ours, theirs, ratios = result
    print(
        f"{name}: {1e3 * ours:.2f} ms, {other} {1e3 * theirs:.2f} ms, ratio "
        f"{statistics.median(ratios):.2f} ({ratios[0]:.2f}…{ratios[-1]:.2f}){note}",
        flush=True,
    )


# Queries and keys of DETR's three attentions for an image of 800 x 1066 px.
ATTENTIONS = {"encoder": (850, 850), "decoder, to the image": (100, 850), "decoder": (100, 100)}


def bench_attention(rounds: int) -> None:
    """Multi-head attention of 256 channels and 8 heads, forward and backward, batch 2."""
    torch.manual_seed(0)
    theirs = nn.MultiheadAttention(256, 8, batch_first=True)
    weights = (theirs.in_proj_weight, theirs.in_proj_bias, *theirs.out_proj.parameters())
    for name, (queries, keys) in ATTENTIONS.items():
        query = torch.randn(2, queries, 256, requires_grad=True)
        memory = torch.randn(2, keys, 256, requires_grad=True)
        gradient = torch.randn(2, queries, 256)
        result = in_turns(
            lambda q=query, m=memory, g=gradient: ops.multi_head_attention(
                q, m, m, *weights, 8
            ).backward(g),
            lambda q=query, m=memory, g=gradient: theirs(q, m, m, need_weights=False)[0].backward(
                g
            ),
            4 * rounds,
            process_time,
        )
        report(f"attention, {name}, {queries} x {keys}", "torch", result)


def bench_hungarian(rounds: int) -> None:
    """Costs as at the start of a training: uniform."""
    for size in ((100, 50), (300, 100)):
        cost = torch.rand(*size, generator=torch.Generator().manual_seed(0))
        array = cost.double().numpy()
        for style, repeats in (("native", 20), ("scratch", 1)):
            body = getattr(ops.hungarian, style)
            result = in_turns(
                lambda b=body, c=cost: b(c),
                lambda a=array: linear_sum_assignment(a),
                rounds * repeats,
                process_time,
            )
            report(f"hungarian, {style}, {size[0]} x {size[1]}", "SciPy", result)


def main() -> None:
    """Print a line for every case."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", help=f"{', '.join(NETWORKS)}, attention, hungarian")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = arguments.cases or [*NETWORKS, "attention", "hungarian"]
    for name in NETWORKS:
        if name in chosen:
            bench_network(name, arguments.rounds)
    if "attention" in chosen:
        bench_attention(arguments.rounds)
    if "hungarian" in chosen:
        bench_hungarian(arguments.rounds)


if __name__ == "__main__":
    main()
