"""The loss of every model refuses by name what it cannot learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from seglib.errors import SeglibError
from seglib.models import MODELS, build_model, model_names
from seglib.models.base import Segmenter
from seglib.structures import Target
from tests.modelling import boxes_target, some_categories

SIZE = (32, 40)
CLASSES = 2
Batch = tuple[Any, Any]


@cache
def model_of(name: str) -> Segmenter:
    torch.manual_seed(0)
    return build_model(name, some_categories(CLASSES))


def good() -> tuple[list[Tensor], list[Target]]:
    """Two images; the second one's target, of image 7, is the one that is spoilt."""
    targets = [
        boxes_target(SIZE, [[2, 2, 20, 20], [10, 4, 30, 30]], [1, 2], image_id=number)
        for number in (3, 7)
    ]
    for target in targets:
        target.semantic = target.masks[0].long() * 2
    return [torch.rand(3, *SIZE) for _ in targets], targets


def with_field(**fields: object) -> Callable[[], Batch]:
    """The good batch, but for these fields of the second target."""

    def make() -> Batch:
        images, targets = good()
        return images, [targets[0], replace(targets[1], **fields)]

    return make


def with_box(*corners: float) -> Callable[[], Batch]:
    return with_field(boxes=torch.tensor([[2.0, 2, 20, 20], corners]))


def with_targets(make: Callable[[list[Target]], object]) -> Callable[[], Batch]:
    return lambda: (good()[0], make(good()[1]))


def with_image(image: object) -> Callable[[], Batch]:
    return lambda: ([good()[0][0], image], good()[1])


LABELS, MASKS = torch.tensor([1, 2]), torch.zeros(2, *SIZE, dtype=torch.bool)
MAP = torch.zeros(SIZE, dtype=torch.int64)

OF_ALL = {
    "too few targets": (with_targets(lambda t: t[:1]), "2 images have 1 targets"),
    "too many targets": (with_targets(lambda t: [*t, t[0]]), "2 images have 3 targets"),
    "no list": (with_targets(lambda t: t[0]), "targets must be a list of Target, got Target"),
    "none": (with_targets(lambda t: None), "targets must be a list of Target, got NoneType"),
    "a label map": (with_targets(lambda t: [t[0], MAP]), "target 1 must be a Target, got Tensor"),
    "no image": (lambda: ([], []), "at least one image"),
    "bytes": (with_image(torch.zeros(3, *SIZE, dtype=torch.uint8)), "image 1 must be float"),
    "a grey image": (with_image(torch.zeros(1, *SIZE)), r"image 1 must be a \[3, H, W\] tensor"),
    "no tensor": (with_image(None), r"image 1 must be a \[3, H, W\] tensor, got NoneType"),
    "NaN pixels": (with_image(torch.full((3, *SIZE), float("nan"))), "image 1 has NaN"),
    "another size": (with_image(torch.zeros(3, 32, 44)), r"target 1 .*size \[32, 40\].*\[32, 44\]"),
}

UNKNOWN = "a label above the classes"

OF_OBJECTS = {
    "a negative label": (
        with_field(labels=torch.tensor([1, -1])),
        r"target 1 of image 7 has labels \[-1\], first for object 1",
    ),
    "label 0": (with_field(labels=torch.tensor([0, 1])), r"labels \[0\], first for object 0"),
    UNKNOWN: (
        with_field(labels=torch.tensor([1, 10**12])),
        r"target 1 of image 7 has labels \[1000000000000\], first for object 1.*1…2",
    ),
    "float labels": (with_field(labels=LABELS.float()), "image 7 has labels float32"),
    "more labels": (with_field(labels=torch.tensor([1, 2, 1])), "image 7 has boxes .* 3 labels"),
    "a huge box": (with_box(0, 0, 1e30, 9), r"target 1 of image 7 has boxes\[1\].*40 x 32 px"),
    "a huge negative box": (with_box(-1e30, 0, 5, 9), r"boxes\[1\] .*40 x 32 px"),
    "a NaN box": (with_box(0, 0, float("nan"), 9), "image 7 has NaN or infinite boxes"),
    "an infinite box": (with_box(0, 0, float("inf"), 9), "image 7 has NaN or infinite boxes"),
    "an inverted box": (with_box(20, 4, 10, 9), r"boxes\[1\] .*order x0, y0, x1, y1"),
    "whole boxes": (with_field(boxes=torch.ones(2, 4, dtype=torch.int64)), "boxes int64"),
    "no boxes": (with_field(boxes=None), "image 7 has boxes of type NoneType: give a tensor"),
    "a list of boxes": (with_field(boxes=[[0, 0, 1, 1]] * 2), "boxes of type list"),
    "masks of bytes": (with_field(masks=MASKS.byte()), "image 7 has masks uint8"),
    "smaller masks": (with_field(masks=MASKS[:, 1:]), r"target 1 .*masks of size \[31, 40\]"),
    "fewer masks": (with_field(masks=MASKS[:1]), r"image 7 has masks bool \[1, 32, 40\]"),
    "crowds as numbers": (with_field(iscrowd=torch.zeros(2)), "image 7 has iscrowd float32"),
    "a NaN area": (with_field(area=torch.tensor([1, float("nan")])), "NaN or infinite area"),
    "a negative area": (with_field(area=torch.tensor([1.0, -2.0])), "image 7 has area -2"),
}

OF_MAPS = {
    "no map": (with_field(semantic=None), "target 1 has no semantic labels"),
    "a negative label": (with_field(semantic=MAP - 1), "target 1 has semantic label -1"),
    UNKNOWN: (with_field(semantic=MAP + 3), "target 1 has semantic label 3"),
    "a float map": (with_field(semantic=MAP.float()), "target 1 has semantic labels of type"),
    "a list": (with_field(semantic=[[0]]), "target 1 has semantic labels of type list"),
    "a smaller map": (with_field(semantic=MAP[1:]), r"target 1 has semantic labels of size"),
}


def cases() -> list[object]:
    """Every model with the cases of what it learns from."""
    found: list[object] = []
    for name in model_names():
        tasks = MODELS[name].tasks
        kinds = {f"{kind} in all": case for kind, case in OF_ALL.items()}
        if tasks != ("semantic",):
            kinds |= {f"{kind} in objects": case for kind, case in OF_OBJECTS.items()}
        if tasks == ("proposals",):  # classes are not told apart
            del kinds[f"{UNKNOWN} in objects"]
        if "semantic" in tasks:
            kinds |= {f"{kind} in maps": case for kind, case in OF_MAPS.items()}
        found += [pytest.param(name, *case, id=f"{name}: {kind}") for kind, case in kinds.items()]
    return found


@pytest.mark.parametrize(("name", "make", "message"), cases())
def test_targets_that_no_loss_can_use_are_refused(
    name: str, make: Callable[[], Batch], message: str
) -> None:
    with pytest.raises(SeglibError, match=message):
        model_of(name).loss(*make())


@pytest.mark.parametrize("name", model_names())
def test_unusual_but_valid_targets_are_accepted(name: str) -> None:
    """Boxes that reach beyond the image, boxes without area, and ignored pixels."""
    images, targets = good()
    boxes = torch.tensor([[-3.0, -2, 45, 33], [5, 5, 5, 9]])
    targets[1] = replace(targets[1], boxes=boxes, semantic=torch.full(SIZE, 255))
    assert all(loss.isfinite() for loss in model_of(name).loss(images, targets).values())
