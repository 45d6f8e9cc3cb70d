"""Measure a model on a few images: as it is, and with one setting changed at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from seglib.data.datasets import CocoFolder
from seglib.doctor.measures.classes import class_shares, label_readings
from seglib.doctor.measures.overlaps import compare
from seglib.doctor.measures.predicted import from_instances
from seglib.doctor.measures.readings import CORNERS
from seglib.doctor.prediction_symptoms import ModelSymptoms, PredictionSymptoms, Readings
from seglib.errors import SeglibError
from seglib.metrics.evaluate import evaluate
from seglib.metrics.shared_classes import SharedClasses
from seglib.models.base import Segmenter
from seglib.ops.images import PIXEL_MEAN, PIXEL_STD
from seglib.structures import BACKGROUND, IGNORE, Target

Advance = Callable[[int], object]
# The figures by which a model of each task is judged, the most telling task first.
FIGURES = {
    "instances": ("mask_AP50", "box_AP50"),
    "semantic": ("mean_iou",),
    "proposals": ("mask_AR@100",),
    "panoptic": ("PQ",),
}
INPUTS: Mapping[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "with ImageNet's mean and deviation": (PIXEL_MEAN, PIXEL_STD),
    "without normalisation (0…1)": ((0.0,) * 3, (1.0,) * 3),
    "as -1…1": ((0.5,) * 3, (0.5,) * 3),
    "as bytes (0…255)": ((0.0,) * 3, (1 / 255,) * 3),
}
THRESHOLDS = ("score_threshold", "final_threshold")
ROUNDS = len(INPUTS) + 3  # how often all images are predicted, for a progress bar


def model_symptoms(
    model: Segmenter, data: CocoFolder, advance: Advance = lambda images: None
) -> tuple[ModelSymptoms, PredictionSymptoms | None]:
    """Score a model as it is, with other normalisations, and without score thresholds.

    Args:
        model: a model in evaluation mode.
        data: a few images, preferably cached in memory.
        advance: called after each round with the number of images that it predicted.

    Returns:
        the figures, and the predictions compared with the truth (None if they cannot be).
    """
    try:
        shared = SharedClasses(model.categories, data.categories)
        name, value = _figure(model, data)
    except SeglibError as error:
        return ModelSymptoms(fault=str(error)), None
    advance(len(data))
    found = ModelSymptoms(figure=name, value=value, images=len(data))
    if math.isfinite(value):
        found.inputs = _inputs(model, data, value, advance)
        _without_thresholds(model, data, found)
        advance(len(data))
    predictions = _predictions(model, data, shared)
    advance(len(data))
    if "semantic" not in model.tasks or predictions.predictions:
        found.predictions = predictions.predictions
    return found, predictions


def _figure(model: Segmenter, data: CocoFolder) -> tuple[str, float]:
    figures = evaluate(model, data).figures
    names = [name for task in FIGURES if task in model.tasks for name in FIGURES[task]]
    name = next(name for name in names if name in figures)
    return name, figures[name]


def changed(model: Segmenter, **settings: Any) -> Segmenter:
    """The same weights in a model with other settings."""
    config = type(model.config).from_dict({**model.config.to_dict(), **settings})
    copy = type(model)(config, model.categories)
    copy.load_state_dict(model.state_dict())
    return copy.eval()


def _inputs(model: Segmenter, data: CocoFolder, as_is: float, advance: Advance) -> Readings:
    """The figure with other normalisations of the images."""
    configured = (tuple(model.config.pixel_mean), tuple(model.config.pixel_std))
    figures = {}
    for name, (mean, std) in INPUTS.items():
        if (mean, std) != configured:
            variant = changed(model, pixel_mean=list(mean), pixel_std=list(std))
            figures[name] = _figure(variant, data)[1]
        advance(len(data))
    return Readings(as_is, figures, len(data))


def _without_thresholds(model: Segmenter, data: CocoFolder, found: ModelSymptoms) -> None:
    """The figure and the number of predictions if every score counts."""
    settings, lowered = model.config.to_dict(), dict[str, float]()
    for place in (settings, *(v for v in settings.values() if isinstance(v, dict))):
        for name in THRESHOLDS:
            if isinstance(place.get(name), float):
                lowered[name], place[name] = place[name], 0.0
    if not lowered:
        return
    variant = changed(model, **settings)
    count = sum(len(_rows(p) or ()) for _, _, p in _predicted(variant, data))
    found.lowered, found.thresholds = lowered, (_figure(variant, data)[1], count)


def _predicted(model: Segmenter, data: CocoFolder) -> Iterator[tuple[Tensor, Target, Any]]:
    for index in range(len(data)):
        image, target = data[index]
        yield image, target, model.predict([image])[0].to("cpu")


def _rows(prediction: Any) -> Any:
    return prediction.instances if prediction.instances is not None else prediction.proposals


def _predictions(model: Segmenter, data: CocoFolder, shared: SharedClasses) -> PredictionSymptoms:
    """Compare the model's predictions with the truth, in the classes that both have."""
    predicted, truths, pairs = [], [], []
    proposals = "proposals" in model.tasks
    for _, target, prediction in _predicted(model, data):
        truth = target.to_find if proposals else shared.true_rows(target)
        truths.append(truth[~truth.iscrowd])
        rows = _rows(prediction)
        if rows is not None:
            predicted.append(from_instances(rows if proposals else shared.predicted_rows(rows)))
        elif prediction.semantic is not None and target.semantic is not None:
            pairs.append(
                (shared.predicted_map(prediction.semantic), shared.true_map(target.semantic))
            )
    count = len(shared.categories)
    if predicted:
        return compare(predicted, truths, CORNERS, {} if proposals else label_readings(count))
    return _semantic(pairs, count)


def _semantic(pairs: list[tuple[Tensor, Tensor]], count: int) -> PredictionSymptoms:
    """The shares of object pixels predicted as background and predicted in the right class.

    Args:
        pairs: for each image, (predicted, true) label maps int64 [H, W].
        count: the number of classes.
    """
    found = PredictionSymptoms(images=len(pairs))
    if not pairs:
        return found
    predicted = torch.cat([p.flatten() for p, _ in pairs])
    true = torch.cat([t.flatten() for _, t in pairs])
    objects = (true != BACKGROUND) & (true != IGNORE)
    if not objects.any():
        return found
    predicted, true = predicted[objects], true[objects]
    found.empty = float((predicted == BACKGROUND).double().mean())
    seen = predicted != BACKGROUND
    some = slice(None, None, max(1, int(seen.sum()) // 20000))  # about 20,000 pixels are enough
    rows = list(zip(predicted[seen][some].tolist(), true[seen][some].tolist(), strict=True))
    found.pixels = class_shares(rows, label_readings(count))
    return found
