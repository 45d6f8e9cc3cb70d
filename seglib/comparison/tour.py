"""A tour of the paradigms: what each predicts for the same pictures, and what it costs."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import cycle, pairwise
from pathlib import PurePosixPath

import torch

from seglib.comparison.operations import multiply_adds
from seglib.comparison.pictures import Picture, choose_pictures
from seglib.comparison.records import TITLES
from seglib.comparison.timing import medians, seconds_in_turns
from seglib.data.coco import CocoFolder
from seglib.metrics.evaluate import evaluate
from seglib.models.base import Segmenter, Task
from seglib.pretrained.results import Row
from seglib.structures import Categories, Prediction

Progress = Callable[[int, str], None]  # called with the predictions done so far and a note

PROPOSALS = 10  # shown per picture
# A model's pictures show its output for the first of these tasks that it has.
SHOWN: Mapping[Task, str] = {
    "panoptic": "panoptic map",
    "instances": "instances",
    "semantic": "label map",
    "proposals": "ten proposals",
}


@dataclass(frozen=True)
class Plan:
    """The extent of a tour.

    Attributes:
        pictures: number of images that are shown.
        scored: number of validation images on which every model is scored now.
        rounds: number of timed predictions per model; raised if there are more pictures.
    """

    pictures: int
    scored: int
    rounds: int = 8

    def __post_init__(self) -> None:
        """Raise the rounds so that, with the warm-up round, each picture is predicted once."""
        object.__setattr__(self, "rounds", max(self.rounds, self.pictures - 1))

    def predictions(self, models: int) -> int:
        """The total number of predictions, for a progress bar."""
        return models * (self.rounds + 1 + self.pictures + self.scored)


@dataclass(frozen=True)
class Stop:
    """One paradigm of a tour.

    Attributes:
        name: the name of its checkpoint.
        tasks: what it predicts.
        record: how the checkpoint was made, with its figures on the whole validation split.
        measured: its figures on the images scored now.
        parameters: number of parameters.
        multiply_adds: mean per picture, see `multiply_adds`.
        milliseconds: median time per picture.
        predictions: one for each picture, reduced by `best`.
    """

    name: str
    tasks: tuple[Task, ...]
    record: Row
    measured: dict[str, float]
    parameters: int
    multiply_adds: float
    milliseconds: float
    predictions: list[Prediction] = field(repr=False)

    @property
    def title(self) -> str:
        """The name in figures and tables."""
        return TITLES[self.name]

    @property
    def shown(self) -> str:
        """What its pictures show."""
        return next(words for task, words in SHOWN.items() if task in self.tasks)

    @property
    def began_from(self) -> str | None:
        """The checkpoint that the training started from, if its time is not in the record."""
        words = shlex.split(self.record["command"])
        options = list(pairwise(words))
        made = {value for option, value in options if option == "--out"}
        initial = [value for option, value in options if option == "--init" and value not in made]
        return PurePosixPath(initial[0]).name if initial else None


@dataclass(frozen=True)
class Tour:
    """The results of a tour.

    Attributes:
        pictures: the images that were shown.
        stops: the paradigms, in the order of the lessons.
        scored: number of images on which the `measured` figures were measured.
        rounds: number of timed predictions per model.
        threads: number of CPU threads that a model may use.
        categories: the classes of the data set.
    """

    pictures: list[Picture]
    stops: list[Stop]
    scored: int
    rounds: int
    threads: int
    categories: Categories


def take_tour(
    models: Mapping[str, Segmenter],
    records: Mapping[str, Row],
    dataset: CocoFolder,
    plan: Plan,
    progress: Progress,
) -> Tour:
    """Show every model the same pictures, time it, count its arithmetic, and score it.

    Args:
        models: name of the checkpoint → model, on the CPU.
        records: name of the checkpoint → its record.
        dataset: has at least as many images as the plan needs; open it with `cache=True`.
        plan: the extent of the tour.
        progress: called with the number of predictions done and the name of the model.
    """
    pictures = choose_pictures(dataset, plan.pictures)
    images = [picture.image for picture in pictures]
    scored = min(plan.scored, len(dataset))
    done = _Counter(progress)
    found, times = _time(models, pictures, plan.rounds, done)
    stops = []
    for name, model in models.items():
        operations = multiply_adds(model, images)
        done.add(len(images), TITLES[name])
        metrics = evaluate(model, dataset, scored, done.within(TITLES[name]))
        done.add(scored, TITLES[name])
        stops.append(
            Stop(
                name,
                model.tasks,
                records[name],
                metrics.figures,
                sum(parameter.numel() for parameter in model.parameters()),
                operations,
                1000 * times[name],
                found[name],
            )
        )
    return Tour(pictures, stops, scored, plan.rounds, torch.get_num_threads(), dataset.categories)


def best(prediction: Prediction, objects: int) -> Prediction:
    """Keep the best instances, as many as there are objects, and the ten best proposals.

    A common score threshold would be unfair: DETR's duplicates have high scores, and all of
    PolarMask's are low, since class probability and centerness are multiplied.
    """
    instances, proposals = prediction.instances, prediction.proposals
    return replace(
        prediction,
        instances=None if instances is None else instances[slice(0, objects)],
        proposals=None if proposals is None else proposals[slice(0, PROPOSALS)],
    )


def _time(
    models: Mapping[str, Segmenter], pictures: list[Picture], rounds: int, done: _Counter
) -> tuple[dict[str, list[Prediction]], dict[str, float]]:
    """Each model's predictions, one per picture, and its median seconds per picture."""
    found: dict[str, dict[int, Prediction]] = {name: {} for name in models}

    def predictor(name: str, model: Segmenter) -> Callable[[], None]:
        numbers = cycle(range(len(pictures)))

        def predict_next() -> None:
            number = next(numbers)
            picture = pictures[number]
            found[name][number] = best(model.predict([picture.image])[0], len(picture.target))

        return predict_next

    calls = {name: predictor(name, model) for name, model in models.items()}
    times = seconds_in_turns(
        calls,
        rounds,
        after_round=lambda number: done.add(len(models), "all in turns"),
    )
    ordered = {name: [each[n] for n in range(len(pictures))] for name, each in found.items()}
    return ordered, medians(times)


class _Counter:
    """Predictions done so far, for a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self.done, self._progress = 0, progress

    def add(self, count: int, note: str) -> None:
        self.done += count
        self._progress(self.done, note)

    def within(self, note: str) -> Callable[[int, int], None]:
        """A callback for the images of an evaluation, which are added to `done` only afterwards."""
        return lambda done, total: self._progress(self.done + done, note)
