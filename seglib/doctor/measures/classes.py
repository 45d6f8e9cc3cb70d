"""Readings of labels and category ids: the prescribed one, and others that may have been meant."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from seglib.doctor.measures.readings import AS_IS
from seglib.doctor.prediction_symptoms import Readings
from seglib.structures import Categories

FEWEST = 6  # pairs needed, besides one per class, to infer a mapping of classes
RENAMED = "renamed one to one"
ClassReading = Callable[[int], int]  # from the written class to a label
Pair = tuple[int, int]  # (the written class, the true label)


def id_readings(categories: Categories) -> dict[str, ClassReading]:
    """How the category ids in a file may have been meant."""
    by_id = {c.coco_id: c.label for c in categories}
    return {
        AS_IS: lambda written: by_id.get(written, 0),
        "read with 1 added to every id": lambda written: by_id.get(written + 1, 0),
        "read with 1 subtracted from every id": lambda written: by_id.get(written - 1, 0),
        "read as positions in the list of categories, counted from 1": lambda written: written,
        "read as positions in the list of categories, counted from 0": lambda written: written + 1,
    }


def label_readings(count: int) -> dict[str, ClassReading]:
    """How the labels 1…count of a model may have been meant."""
    return {
        AS_IS: lambda label: label,
        "read with 1 added to every label": lambda label: label % count + 1,
        "read with 1 subtracted from every label": lambda label: (label - 2) % count + 1,
    }


def class_shares(pairs: Sequence[Pair], readings: Mapping[str, ClassReading]) -> Readings | None:
    """The share of pairs that agree under every reading; the first is the prescribed one."""
    if not pairs or not readings:
        return None
    shares = {
        name: sum(read(written) == label for written, label in pairs) / len(pairs)
        for name, read in readings.items()
    }
    as_written = shares.pop(next(iter(readings)))
    return Readings(as_written, shares | _renamed(pairs), len(pairs))


def _renamed(pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of pairs that the best one-to-one mapping explains, if there are enough.

    The first pair of each class is not counted, since a mapping always explains it.
    """
    mapping, explained = dict[int, int](), 0
    for (written, label), count in Counter(pairs).most_common():
        if written not in mapping and label not in mapping.values():
            mapping[written] = label
            explained += count - 1
    tested = len(pairs) - len(mapping)
    return {RENAMED: explained / tested} if tested >= FEWEST else {}
