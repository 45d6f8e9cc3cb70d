"""One form for predictions from a file and from a model: raw numbers, not yet interpreted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seglib.doctor.measures.results_file import Record, class_of, raw_box, raw_mask, score_of
from seglib.errors import SeglibError
from seglib.ops.boxes import xyxy_to_xywh
from seglib.ops.masks import masks_to_boxes
from seglib.structures import Instances, Target

MOST = 100  # number of predictions per image that COCO's evaluation counts
EXTRA = 5  # predictions compared per image, in addition to twice the number of true objects


@dataclass
class Predicted:
    """The best predictions for one image, best score first.

    Attributes:
        boxes: float64 [N, 4], the numbers as they were written.
        scores: float64 [N], -inf where there is no finite score.
        classes: category ids (of a file) or labels (of a model); None where there is none.
        masks: bool [h, w], of any size, for at least the `compared` predictions; empty if one of
            those has no mask.
    """

    boxes: Tensor
    scores: Tensor
    classes: list[int | None]
    masks: list[Tensor] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.classes)


def from_records(
    records: Sequence[Record],
    truth: Target,
    unreadable: Counter[str],
    with_masks: bool = True,
) -> Predicted:
    """A file's predictions for one image.

    Args:
        records: best score first.
        truth: the image's objects.
        unreadable: counts the masks that cannot be read, by fault; such masks count as empty.
        with_masks: also read the masks of predictions that have boxes.
    """
    records = records[:MOST]
    boxes = [raw_box(record) for record in records]
    kept, masks = [], list[Tensor]()
    for row, record in enumerate(records):
        is_compared = with_masks and row < compared(truth)
        mask = None
        if is_compared or boxes[row] is None:
            mask = _mask(record, truth.size, unreadable)
        if boxes[row] is None and mask is not None:
            boxes[row] = xyxy_to_xywh(masks_to_boxes(mask[None]).double())[0].tolist()
        kept += [row] if boxes[row] is not None else []
        masks += [mask] if is_compared and mask is not None else []
    return Predicted(
        torch.tensor([boxes[row] for row in kept], dtype=torch.float64).reshape(-1, 4),
        torch.tensor([score_of(records[row]) for row in kept], dtype=torch.float64),
        [class_of(records[row]) for row in kept],
        masks if len(masks) == min(len(kept), compared(truth)) else [],
    )


def compared(truth: Target) -> int:
    """How many of the best-scored predictions are compared with the true objects of an image."""
    return 2 * len(truth) + EXTRA


def _mask(record: Record, size: tuple[int, int], unreadable: Counter[str]) -> Tensor | None:
    try:
        return raw_mask(record, size)
    except SeglibError as error:
        unreadable[f"a mask cannot be read: {error}"[:120]] += 1
        return torch.zeros(size, dtype=torch.bool)


def from_instances(instances: Instances) -> Predicted:
    """A model's predictions for one image, with boxes as corners."""
    order = instances.scores.argsort(descending=True, stable=True)[:MOST]
    best: Instances = instances[order].to("cpu")
    return Predicted(
        best.boxes.double(),
        best.scores.double(),
        [int(label) for label in best.labels],
        [] if best.masks is None else list(best.masks),
    )


def finite_scores(predicted: Sequence[Predicted]) -> list[float]:
    """All scores that are finite."""
    values = [score for image_predicted in predicted for score in image_predicted.scores.tolist()]
    return [score for score in values if math.isfinite(score)]
