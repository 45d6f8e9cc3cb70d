"""Collect symptoms. Whatever is broken is recorded as a fault, and the examination continues."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from seglib import pretrained
from seglib.data.datasets import SPLITS, CocoFolder, load_dataset
from seglib.doctor.measures.data import split_symptoms
from seglib.doctor.measures.log import log_symptoms, shipped_log_symptoms
from seglib.doctor.measures.model import ROUNDS, model_symptoms
from seglib.doctor.symptoms import Symptoms
from seglib.errors import SeglibError
from seglib.models.base import Segmenter

LOG_NAME = "log.jsonl"
# A title and a number of images → a context whose function is called with the images done so far.
Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


@contextmanager
def silent(title: str, total: int) -> Iterator[Callable[[int], object]]:
    """A `Progress` that shows nothing."""
    yield lambda done: None


@contextmanager
def examining(symptoms: Symptoms, what: str) -> Iterator[None]:
    """Record an error of a broken file or model as a fault, so that the rest is examined."""
    try:
        yield
    except SeglibError as error:
        symptoms.faults.append((what, str(error)))
    except Exception as error:
        symptoms.faults.append((what, f"{type(error).__name__}: {error}"))


def measure_log(symptoms: Symptoms, name: str, settings: Mapping[str, Any] | None) -> None:
    """Measure the log in a run's folder, or the history of a shipped checkpoint."""
    with examining(symptoms, LOG_NAME):
        if settings is not None:
            symptoms.log = log_symptoms(Path(name) / LOG_NAME, settings)
        elif name in pretrained.shipped_names() and not Path(name).exists():
            symptoms.log = shipped_log_symptoms(name)


def measure_data(
    symptoms: Symptoms, spec: str | None, split: str | None, limit: int, progress: Progress
) -> None:
    """Measure both splits of a folder, or only `split`; a file that serves as both counts once."""
    with examining(symptoms, spec or "the data set"):
        data = load_dataset(spec, split or "val", limit=1, faults=[])
        symptoms.dataset = data.name
        splits = [split] if split else ["val"] if data.name == "pocket" else SPLITS
        for one in splits:
            with progress(f"checking {one}", limit) as advance:
                found = split_symptoms(spec, one, limit, _watched(advance))
            if not found.file or found.file not in [other.file for other in symptoms.splits]:
                symptoms.splits.append(found)


def measure_model(
    symptoms: Symptoms,
    model: Segmenter,
    spec: str | None,
    split: str | None,
    limit: int,
    progress: Progress,
) -> None:
    """Measure a model's predictions for at most `limit` readable images."""
    size, done = model.config.image_size, 0
    with examining(symptoms, "the model"):
        data = load_dataset(spec, split or "val", size=size, cache=True, faults=[])
        data = _readable(data, limit)
        with progress(f"predicting with {model.name}", ROUNDS * len(data)) as advance:

            def add(images: int) -> None:
                nonlocal done
                done += images
                advance(done)

            symptoms.model, symptoms.predictions = model_symptoms(model, data, add)


def _readable(data: CocoFolder, limit: int) -> CocoFolder:
    """The first images that can be read and have an object; if there are none, the first one."""
    chosen: list[int] = []
    for index, image_id in enumerate(data.image_ids):
        try:
            target = data[index][1]
        except SeglibError:  # reported where the data set is checked
            continue
        if len(target):
            chosen.append(image_id)
        if len(chosen) == limit:
            break
    return data.select(chosen or data.image_ids[:1])


def _watched(advance: Callable[[int], object]) -> Callable[[Sequence[int]], Iterator[int]]:
    """An iteration over image ids that calls `advance` with the number of images done."""

    def watch(image_ids: Sequence[int]) -> Iterator[int]:
        for done, image_id in enumerate(image_ids, start=1):
            yield image_id
            advance(done)

    return watch
