"""Score a model on a data set, with the figures that belong to its tasks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from seglib.errors import SeglibError
from seglib.metrics.average_precision import UNDEFINED
from seglib.metrics.dataset import LabelledImages, first_samples
from seglib.metrics.report import Metrics
from seglib.metrics.scorers import SCORERS, Scorer
from seglib.models.base import Segmenter, Task
from seglib.structures import Categories, Prediction, Target

Progress = Callable[[int, int], None]
Watch = Callable[[Prediction, Target], None]

_BATCH_SIZE = 8


@dataclass(frozen=True)
class Predictor:
    """Something to be scored: a model, or a perfect network that predicts from the truth.

    Attributes:
        name: the model's name in tables.
        tasks: the fields of `Prediction` that are filled.
        categories: what the predicted labels mean.
        predict: maps images and their targets to predictions.
    """

    name: str
    tasks: tuple[Task, ...]
    categories: Categories
    predict: Callable[[list[Tensor], list[Target]], list[Prediction]]


def evaluate(
    model: Segmenter,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Metrics:
    """Predict the images and score each of the model's `tasks`.

    Classes are compared by name. If those of model and data set differ, only the shared classes are
    scored, and a note says so: predictions of other classes become background or are dropped, true
    pixels of other classes are ignored, and true objects of other classes are left out. Proposals
    have no classes, so for them every true object counts.

    Args:
        model: any paradigm.
        dataset: images with targets; its area ranges split the figures by size.
        limit: use only the first `limit` images; None uses all.
        progress: called with (images done, total number of images) after every batch.
        watch: called with every prediction, on the CPU, and its target.

    Returns:
        figures, figures per class, and notes to print beside them: the data set's own, if it
        has any, and the classes scored.

    Raises:
        SeglibError: a task without a scorer, no image, one image twice, no class in common, or a
            target that lacks what the task needs.
    """
    return score(
        Predictor(
            model.name, model.tasks, model.categories, lambda images, _: model.predict(images)
        ),
        dataset,
        limit,
        progress,
        watch,
    )


def score(
    predictor: Predictor,
    dataset: LabelledImages,
    limit: int | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Metrics:
    """`evaluate` for any predictor, not only a model."""
    scorers = _scorers(predictor, dataset)
    samples = first_samples(dataset, limit)
    total = len(dataset) if limit is None else min(limit, len(dataset))
    done, seen = 0, set[int]()
    while batch := list(islice(samples, _BATCH_SIZE)):
        images, targets = [image for image, _ in batch], [target for _, target in batch]
        _refuse_repeated(targets, seen, dataset.name)
        predictions = [p.to("cpu") for p in predictor.predict(images, targets)]
        for prediction, target in zip(predictions, targets, strict=True):
            for scorer in scorers:
                scorer.update(prediction, target)
            if watch is not None:
                watch(prediction, target)
        done += len(batch)
        if progress is not None:
            progress(done, total)
    return _gather(scorers, predictor, dataset, total)


def _refuse_repeated(targets: list[Target], seen: set[int], name: str) -> None:
    """Refuse a second target of the same image, which not every scorer would notice."""
    for target in targets:
        if target.image_id in seen:
            raise SeglibError(f"{name}: image {target.image_id} comes twice; it would count twice")
        seen.add(target.image_id)


def _scorers(predictor: Predictor, dataset: LabelledImages) -> list[Scorer]:
    """One scorer per task."""
    for task in predictor.tasks:
        if task not in SCORERS:
            raise SeglibError(
                f"{predictor.name}: the task {task!r} cannot be scored yet, only "
                f"{', '.join(SCORERS)}: add its scorer to SCORERS in seglib/metrics/scorers.py"
            )
    return [SCORERS[task](predictor.categories, dataset) for task in predictor.tasks]


def _gather(
    scorers: list[Scorer], predictor: Predictor, dataset: LabelledImages, images: int
) -> Metrics:
    """The figures of all tasks together."""
    figures: dict[str, float] = {}
    per_class: dict[str, dict[str, float]] = {}
    notes = list(getattr(dataset, "notes", ()))
    for scorer in scorers:
        figures |= _with_nan(scorer.figures())
        per_class |= {name: _with_nan(values) for name, values in scorer.per_class().items()}
        notes += [note for note in scorer.notes() if note not in notes]
    return Metrics(figures, per_class, notes, dataset.name, images, predictor.name)


def _with_nan(values: dict[str, float]) -> dict[str, float]:
    """COCO's -1 becomes nan, so that no mean over it goes unnoticed."""
    return {name: math.nan if value == UNDEFINED else value for name, value in values.items()}
