"""Compare predictions with the truth, under every reading of their ids, boxes, masks, classes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seglib.doctor.measures.classes import ClassReading, Pair, class_shares
from seglib.doctor.measures.predicted import Predicted, compared, finite_scores
from seglib.doctor.measures.readings import (
    AS_IS,
    BOX_READINGS,
    MASK_READINGS,
    MaskReading,
    best_shift,
    filled,
    moved,
    moved_by,
)
from seglib.doctor.prediction_symptoms import PredictionSymptoms, Readings
from seglib.ops.boxes import box_iou
from seglib.ops.masks import mask_iou
from seglib.structures import Target

LOCATED = 0.5  # IoU from which a prediction is taken to mean a true object
REPEATED = 0.7  # IoU with a better prediction of the same class


def compare(
    predicted: Sequence[Predicted],
    truths: Sequence[Target],
    box_format: str,
    class_readings: Mapping[str, ClassReading],
) -> PredictionSymptoms:
    """Compare predictions with the truth of the same images.

    Args:
        predicted: the predictions of each image.
        truths: the target of each image, without crowds.
        box_format: the key of `BOX_READINGS` that is prescribed.
        class_readings: from a written class to a label; the first is the prescribed one.
    """
    best = [_best(one, truth) for one, truth in zip(predicted, truths, strict=True)]
    scores = finite_scores(predicted)
    found = PredictionSymptoms(
        images=sum(len(truth) > 0 for truth in truths),
        predictions=sum(map(len, predicted)),
        scores=(min(scores), max(scores)) if scores else None,
        distinct_scores=len(set(scores)),
        covered=sum(len(p) > 0 and len(t) > 0 for p, t in zip(predicted, truths, strict=True)),
    )
    if not found.covered:
        return found
    corners = corner_readings(best, truths, box_format)
    found.boxes = box_shares(corners, truths)
    found.masks = _mask_readings(best, truths)
    name, value = found.boxes.best
    pairs = _located(best, corners[name if value > found.boxes.as_is else AS_IS], truths)
    found.located, found.classes = len(pairs), class_shares(pairs, class_readings)
    found.repeated = _repeated(predicted, truths, box_format)
    return found


def _best(predicted: Predicted, truth: Target) -> Predicted:
    """The best-scored predictions only: among many, some would overlap an object by chance."""
    count = compared(truth)
    return Predicted(
        predicted.boxes[:count],
        predicted.scores[:count],
        predicted.classes[:count],
        predicted.masks[:count],
    )


def corner_readings(
    predicted: Sequence[Predicted], truths: Sequence[Target], box_format: str
) -> dict[str, list[Tensor]]:
    """Predicted boxes as corners [N, 4] for each image, under every reading."""
    corners = {
        AS_IS if name == box_format else name: [
            read(image_predicted.boxes, truth.size)
            for image_predicted, truth in zip(predicted, truths, strict=True)
        ]
        for name, read in BOX_READINGS.items()
    }
    as_written = corners[AS_IS]
    areas = [
        (filled(boxes, truth.size), filled(truth.boxes, truth.size))
        for boxes, truth in zip(as_written, truths, strict=True)
        if len(boxes) and len(truth)
    ]
    shift, scale = best_shift(areas), _scale(as_written, truths)
    corners[moved_by(shift)] = [boxes + boxes.new_tensor(shift * 2) for boxes in as_written]
    corners[f"scaled by {scale:.2f}"] = [boxes * scale for boxes in as_written]
    return corners


def box_shares(corners: Mapping[str, Sequence[Tensor]], truths: Sequence[Target]) -> Readings:
    """Mean over true objects of the best IoU with a predicted box, under every reading."""
    values = {
        name: [v for b, t in zip(boxes, truths, strict=True) for v in _best_overlaps(b, t.boxes)]
        for name, boxes in corners.items()
    }
    means = {name: sum(row) / len(row) for name, row in values.items()}
    return Readings(means.pop(AS_IS), means, len(values[AS_IS]))


def _scale(corners: Sequence[Tensor], truths: Sequence[Target]) -> float:
    """Mean coordinate of the true boxes divided by that of the predicted ones; 1 without boxes."""
    pairs = [(b, t.boxes) for b, t in zip(corners, truths, strict=True) if len(b) and len(t)]
    predicted = sum(float(boxes.double().mean()) for boxes, _ in pairs)
    true = sum(float(boxes.double().mean()) for _, boxes in pairs)
    return true / predicted if predicted > 0 else 1.0


def _best_overlaps(boxes: Tensor, true: Tensor) -> list[float]:
    """For each true box [N, 4], its best IoU with a predicted one."""
    if len(boxes) == 0:
        return [0.0] * len(true)
    overlaps = box_iou(boxes.double(), true.double()).nan_to_num(0)  # [D, N]
    return [float(v) for v in overlaps.amax(dim=0)] if len(true) else []


def _mask_readings(predicted: Sequence[Predicted], truths: Sequence[Target]) -> Readings | None:
    """Mean over true objects of the best IoU with a predicted mask; None without masks."""
    if not any(image_predicted.masks for image_predicted in predicted):
        return None
    shift = best_shift(
        [
            (
                _stack(image_predicted.masks, MASK_READINGS[AS_IS], truth).any(dim=0),
                truth.masks.any(dim=0),
            )
            for image_predicted, truth in zip(predicted, truths, strict=True)
        ]
    )
    readings = dict(MASK_READINGS)
    readings[moved_by(shift)] = lambda mask, size: moved(readings[AS_IS](mask, size), shift)
    values: dict[str, list[float]] = {name: [] for name in readings}
    for image_predicted, truth in zip(predicted, truths, strict=True):
        for name, read in readings.items():
            values[name] += _best_mask_overlaps(_stack(image_predicted.masks, read, truth), truth)
    means = {name: sum(row) / len(row) for name, row in values.items()}
    return Readings(means.pop(AS_IS), means, len(values[AS_IS]))


def _stack(masks: Sequence[Tensor], read: MaskReading, truth: Target) -> Tensor:
    """Masks under a reading, bool [N, H, W]."""
    rows = [read(mask, truth.size) for mask in masks]
    return torch.stack(rows) if rows else torch.zeros(0, *truth.size, dtype=torch.bool)


def _best_mask_overlaps(masks: Tensor, truth: Target) -> list[float]:
    if len(masks) == 0 or len(truth) == 0:
        return [0.0] * len(truth)
    return [float(v) for v in mask_iou(masks, truth.masks).amax(dim=0)]


def _located(
    predicted: Sequence[Predicted], corners: Sequence[Tensor], truths: Sequence[Target]
) -> list[Pair]:
    """(written class, true label) of each true object that a predicted box overlaps."""
    pairs = []
    for image_predicted, boxes, truth in zip(predicted, corners, truths, strict=True):
        if len(image_predicted) == 0 or len(truth) == 0:
            continue
        overlaps = box_iou(boxes, truth.boxes.double()).nan_to_num(0)  # [D, N]
        values, rows = overlaps.max(dim=0)  # [N]
        for value, row, label in zip(values, rows.tolist(), truth.labels.tolist(), strict=True):
            written = image_predicted.classes[row]
            if value >= LOCATED and written is not None:
                pairs.append((written, label))
    return pairs


def _repeated(predicted: Sequence[Predicted], truths: Sequence[Target], box_format: str) -> float:
    """The share of predictions that overlap a better one of the same class."""
    repeated = total = 0
    for image_predicted, truth in zip(predicted, truths, strict=True):
        boxes, by_class = (
            BOX_READINGS[box_format](image_predicted.boxes, truth.size),
            defaultdict(list),
        )
        for row, written in enumerate(image_predicted.classes):
            by_class[written].append(row)
        for rows in by_class.values():
            overlaps = box_iou(boxes[rows], boxes[rows]).nan_to_num(0).triu(diagonal=1)
            repeated += int((overlaps > REPEATED).any(dim=0).sum())
        total += len(image_predicted)
    return repeated / total if total else 0.0
