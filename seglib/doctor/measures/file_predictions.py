"""Measure the predictions in a file: first the image that each record means, then its content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from seglib.data.datasets import CocoFolder
from seglib.doctor.measures.classes import id_readings
from seglib.doctor.measures.overlaps import (
    box_shares,
    compare,
    corner_readings,
)
from seglib.doctor.measures.predicted import Predicted, from_records
from seglib.doctor.measures.readings import AS_IS, XYWH
from seglib.doctor.measures.results_file import ResultsFile, class_of
from seglib.doctor.prediction_symptoms import PredictionSymptoms, Readings
from seglib.errors import SeglibError
from seglib.ops.masks import mask_area
from seglib.structures import Target

# From an image's position in the data set to the id that a record may use for it.
IdReading = Callable[[int, Sequence[int]], int]
IMAGE_READINGS: dict[str, IdReading] = {
    AS_IS: lambda index, ids: ids[index],
    "read as the image before the one named": lambda index, ids: ids[(index + 1) % len(ids)],
    "read as the image after the one named": lambda index, ids: ids[index - 1],
    "read as positions in the list of images, counted from 0": lambda index, ids: index,
    "read as positions in the list of images, counted from 1": lambda index, ids: index + 1,
}


def file_symptoms(file: ResultsFile, data: CocoFolder, limit: int) -> PredictionSymptoms:
    """Compare a file of predictions with the first `limit` images that have objects.

    Raises:
        SeglibError: no image has an object.
    """
    truths, places = _truths(data, limit)
    by_reading = {
        name: _predicted(file, truths, [read(place, data.image_ids) for place in places], None)
        for name, read in IMAGE_READINGS.items()
    }
    ids = _image_readings(by_reading, truths)
    name, value = ids.best
    best = name if value > ids.as_is else AS_IS
    named = [IMAGE_READINGS[best](place, data.image_ids) for place in places]
    predicted = _predicted(file, truths, named, file.unreadable)
    found = compare(predicted, truths, XYWH, id_readings(data.categories))
    found.image_ids = ids
    found.records, found.unreadable = file.count, file.unreadable
    records = [(i, record) for i, rows in file.by_image.items() for record in rows]
    known, classes = set(data.image_ids), {c.coco_id for c in data.categories}
    found.unknown_images = sum(image_id not in known for image_id, _ in records)
    found.unknown_classes = sum(class_of(record) not in classes for _, record in records)
    return found


def _truths(data: CocoFolder, limit: int) -> tuple[list[Target], list[int]]:
    """Targets without crowds and invisible objects, and the positions of their images."""
    truths, places = [], []
    for index in range(len(data)):
        try:
            truth = data[index][1].to_find
        except SeglibError:  # reported where the data set is checked
            continue
        truth = truth[~truth.iscrowd & (mask_area(truth.masks) > 0)]
        if len(truth):
            truths.append(truth)
            places.append(index)
        if len(truths) == limit:
            break
    if not truths:
        raise SeglibError(f"{data.name} {data.split} has no image with an object to find")
    return truths, places


def _predicted(
    file: ResultsFile, truths: Sequence[Target], ids: Sequence[int], unreadable: Counter[str] | None
) -> list[Predicted]:
    """The file's predictions for each image, looked up under the given ids.

    Args:
        file: all records.
        truths: one for each image.
        ids: the id under which each image is looked up.
        unreadable: receives the faults of masks; None skips the masks of records with boxes.
    """
    faults = Counter[str]() if unreadable is None else unreadable
    with_masks = unreadable is not None
    return [
        from_records(file.by_image.get(image_id, []), truth, faults, with_masks)
        for truth, image_id in zip(truths, ids, strict=True)
    ]


def _image_readings(by_reading: dict[str, list[Predicted]], truths: Sequence[Target]) -> Readings:
    """How well the best reading of the boxes fits, for every reading of the image ids."""
    values, count = {}, 0
    for name, predicted in by_reading.items():
        shares = box_shares(corner_readings(predicted, truths, XYWH), truths)
        values[name], count = max(shares.as_is, shares.best[1]), shares.count
    return Readings(values.pop(AS_IS), values, count)
