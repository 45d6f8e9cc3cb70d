"""A tour of the paradigms: the same pictures through all of them, and what each one costs."""

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

Progress = Callable[[int, str], None]  # predictions done so far, and what comes next

PROPOSALS = 10  # shown per picture
# What the pictures of a model show, by the richest of its tasks.
SHOWN: Mapping[Task, str] = {
    "panoptic": "panoptic map",
    "instances": "instances",
    "semantic": "label map",
    "proposals": "ten proposals",
}


@dataclass(frozen=True)
class Plan:
    """How much a tour looks at.

    Attributes:
        pictures: images that are shown.
        scored: images of the validation split on which every model is scored now.
        rounds: timed predictions of each model, or more if there are more pictures.
    """

    pictures: int
    scored: int
    rounds: int = 8

    def __post_init__(self) -> None:
        """Every picture comes at least once; the first round, which warms up, is not counted."""
        object.__setattr__(self, "rounds", max(self.rounds, self.pictures - 1))

    def predictions(self, models: int) -> int:
        """How many predictions that makes, for a progress bar."""
        return models * (self.rounds + 1 + self.pictures + self.scored)


@dataclass(frozen=True)
class Stop:
    """One paradigm of a tour.

    Attributes:
        name: its checkpoint.
        tasks: what it predicts.
        record: how the checkpoint was made, with its figures on the whole validation split.
        measured: its figures on the images scored now.
        parameters: how many numbers it has learned.
        multiply_adds: per picture, see `multiply_adds`.
        milliseconds: median time per picture.
        predictions: one for each picture, as `best` leaves it.
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
        """As figures and tables name it."""
        return TITLES[self.name]

    @property
    def shown(self) -> str:
        """What its pictures show."""
        return next(words for task, words in SHOWN.items() if task in self.tasks)

    @property
    def began_from(self) -> str | None:
        """The checkpoint that its training began with, if the record does not count that one."""
        words = shlex.split(self.record["command"])
        options = list(pairwise(words))
        made = {value for option, value in options if option == "--out"}
        initial = [value for option, value in options if option == "--init" and value not in made]
        return PurePosixPath(initial[0]).name if initial else None


@dataclass(frozen=True)
class Tour:
    """What a tour has seen and measured.

    Attributes:
        pictures: the images.
        stops: the paradigms, in the order of the lessons.
        scored: images on which `measured` figures were measured.
        rounds: timed predictions of each model.
        threads: processor threads that a model may use.
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
        records: how each of them was made.
        dataset: with at least as many images as the plan needs; open it with `cache=True`.
        plan: how much to look at.
        progress: told how many predictions are done, and of which model.
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
    """A prediction with as many instances as there are objects, and ten proposals, the best ones.

    A common least score would be unfair: DETR is sure of its repetitions, and PolarMask, which
    multiplies class and centerness, of nothing.
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
    """What each model predicts for each picture, and its median seconds per picture."""
    found: dict[str, dict[int, Prediction]] = {name: {} for name in models}

    def look(name: str, model: Segmenter) -> Callable[[], None]:
        numbers = cycle(range(len(pictures)))

        def predict_next() -> None:
            number = next(numbers)
            picture = pictures[number]
            found[name][number] = best(model.predict([picture.image])[0], len(picture.target))

        return predict_next

    calls = {name: look(name, model) for name, model in models.items()}
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
        """Shows the images of an evaluation, which count once it has ended."""
        return lambda done, total: self._progress(self.done + done, note)
