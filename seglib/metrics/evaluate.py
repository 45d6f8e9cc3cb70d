"""Score a model on a data set, with the figures that belong to its tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import islice

from seglib.errors import SeglibError
from seglib.metrics.average_precision import UNDEFINED
from seglib.metrics.dataset import LabelledImages, first_samples
from seglib.metrics.report import Metrics
from seglib.metrics.scorers import SCORERS, Scorer
from seglib.models.base import Segmenter

Progress = Callable[[int, int], None]

_BATCH_SIZE = 8


def evaluate(
    model: Segmenter,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
) -> Metrics:
    """Predict the images and score each of the model's `tasks`.

    Classes are compared by name. Where model and data set differ, only the classes of both are
    scored and the notes say so: predictions of other classes become background or are dropped,
    true pixels of other classes are ignored, true objects of other classes are left out.
    Proposals have no classes, so for them every true object counts.

    Args:
        model: any paradigm.
        dataset: images with targets; its area ranges split the figures by size.
        limit: only the first images.
        progress: called with (images done, images in all) after every batch.

    Returns:
        figures, figures per class, and notes to print beside them: the data set's own, if it
        has any, and the classes scored.

    Raises:
        SeglibError: a task without a scorer, no image, no class in common, or a target that
            lacks what the task needs.
    """
    scorers = _scorers(model, dataset)
    samples = first_samples(dataset, limit)
    total = len(dataset) if limit is None else min(limit, len(dataset))
    done = 0
    while batch := list(islice(samples, _BATCH_SIZE)):
        predictions = [p.to("cpu") for p in model.predict([image for image, _ in batch])]
        for prediction, (_, target) in zip(predictions, batch, strict=True):
            for scorer in scorers:
                scorer.update(prediction, target)
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return _gather(scorers, model, dataset, total)


def _scorers(model: Segmenter, dataset: LabelledImages) -> list[Scorer]:
    """One scorer per task of the model."""
    for task in model.tasks:
        if task not in SCORERS:
            raise SeglibError(
                f"{model.name}: the task {task!r} cannot be scored yet, only {', '.join(SCORERS)}: "
                "add its scorer to SCORERS in seglib/metrics/scorers.py"
            )
    return [SCORERS[task](model.categories, dataset) for task in model.tasks]


def _gather(
    scorers: list[Scorer], model: Segmenter, dataset: LabelledImages, images: int
) -> Metrics:
    """The figures of all tasks together."""
    figures: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {}
    notes = list(getattr(dataset, "notes", ()))
    for scorer in scorers:
        figures |= _with_nan(scorer.figures())
        per_class |= {name: _with_nan(values) for name, values in scorer.per_class().items()}
        notes += [note for note in scorer.notes() if note not in notes]
    return Metrics(figures, per_class, notes, dataset.name, images, model.name)


def _with_nan(values: dict[str, float]) -> dict[str, float]:
    """COCO's -1 becomes nan, so that no mean over it goes unnoticed."""
    return {name: math.nan if value == UNDEFINED else value for name, value in values.items()}
