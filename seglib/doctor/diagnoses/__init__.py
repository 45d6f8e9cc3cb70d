"""From symptoms to findings. Each diagnosis is a small function, tried in this order.

A diagnosis returns None if what it needs was not measured. Last resorts are tried only if no other
diagnosis found anything.
"""

from __future__ import annotations

from collections.abc import Callable

from seglib.doctor.diagnoses import data, model, predictions, ranking, training
from seglib.doctor.findings import Finding, Passed
from seglib.doctor.symptoms import Symptoms

Diagnosis = Callable[[Symptoms], Finding | Passed | None]

DIAGNOSES: tuple[Diagnosis, ...] = (
    data.unreadable,
    data.faulty_records,
    data.nothing_to_find,
    data.boxes_misread,
    data.masks_beside_boxes,
    data.masks_beside_image,
    data.splits_disagree,
    data.blank_images,
    data.tiny_objects,
    model.broken_file,
    model.other_paradigm,
    model.untrained,
    model.dead_layers,
    model.no_common_class,
    model.normalisation,
    model.thresholds,
    training.not_finite,
    training.interrupted,
    training.rate_too_high,
    training.rate_too_low,
    training.too_few_steps,
    predictions.faulty_records,
    predictions.unknown_ids,
    predictions.images_mixed_up,
    predictions.boxes_misread,
    predictions.masks_misread,
    predictions.classes_mixed_up,
    ranking.scores,
    ranking.repeated,
)
LAST_RESORTS: tuple[Diagnosis, ...] = (
    model.other_images,
    model.finds_nothing,
    ranking.nothing_fits,
)

__all__ = ["DIAGNOSES", "LAST_RESORTS", "Diagnosis"]
