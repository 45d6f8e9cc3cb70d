"""Faults of a data set."""

from __future__ import annotations

from itertools import combinations

from seglib.counted import counted
from seglib.doctor.diagnoses.wording import better, listed
from seglib.doctor.findings import Finding, Passed
from seglib.doctor.prediction_symptoms import Readings
from seglib.doctor.symptoms import SplitSymptoms, Symptoms

TINY_SIDE = 8.0  # px
EDGE_TIMES = 1.4  # how much stronger edges along outlines must be to prefer another reading


def unreadable(symptoms: Symptoms) -> Finding | None:
    """A file or an option that cannot be used at all."""
    if not symptoms.faults:
        return None
    where, message = symptoms.faults[0]
    rest = "".join(f"; {more}: {text}" for more, text in symptoms.faults[1:])
    return Finding(
        "unreadable",
        f"{where} cannot be used.",
        message + rest,
        "Fix or replace it; the rest was examined without it.",
        0.98,
    )


def faulty_records(symptoms: Symptoms) -> Finding | Passed | None:
    """Records or images that `seglib data check` calls faulty."""
    faults = [(s.split, fault) for s in symptoms.splits for fault in s.faults]
    if not symptoms.splits:
        return None
    if not faults:
        images = ", ".join(f"{counted(s.images, 'image')} of {s.split}" for s in symptoms.splits)
        objects = counted(sum(s.objects for s in symptoms.splits), "object")
        return Passed(f"data: no fault in {images} with {objects}")
    split, first = faults[0]
    what = "1 fault" if len(faults) == 1 else f"{len(faults)} faults, the first"
    return Finding(
        "data-faults",
        "The data set has faulty records or images.",
        f"{what}: {first}",
        f"Fix them; `seglib data check --split {split}` lists all of them.",
        0.7,
    )


def nothing_to_find(symptoms: Symptoms) -> Finding | None:
    """Splits without objects, or with crowds only."""
    for split in symptoms.splits:
        if split.categories is None or split.objects or split.images == 0:
            continue
        if split.crowds:
            return Finding(
                "all-crowds",
                f"All objects of {split.split} are marked as crowds.",
                f"{split.crowds} of {split.crowds} objects in {split.images} images have iscrowd "
                "1; crowds are neither learned nor scored",
                "Set iscrowd to 0 for single objects.",
                0.97,
            )
        return Finding(
            "no-objects",
            f"The images of {split.split} have no objects.",
            f"0 objects in {split.images} images",
            "Check that each annotation's image_id is the id of an image.",
            0.97,
        )
    return None


def boxes_misread(symptoms: Symptoms) -> Finding | Passed | None:
    """Annotated boxes that fit the masks only under another reading."""
    for split, readings in _measured(symptoms, "boxes"):
        if (reading := better(readings)) and not _masks_at_fault(split):
            return Finding(
                "data-boxes",
                "Annotated boxes are not written as (x, y, width, height).",
                f"in {split.split}, they overlap the boxes of their masks with mean IoU "
                f"{readings.as_is:.2f} as they are, {readings.best[1]:.2f} when {reading} "
                f"({readings.count} objects)",
                "Convert 'bbox' to x, y, width, height in pixels.",
                0.92,
            )
    return _passed(symptoms, "boxes", "annotated boxes overlap those of their masks with IoU")


def masks_beside_boxes(symptoms: Symptoms) -> Finding | None:
    """Annotated masks that fit the boxes only under another reading."""
    for split, readings in _measured(symptoms, "masks"):
        if split.boxes is not None and better(split.boxes) and not _masks_at_fault(split):
            continue
        if reading := better(readings):
            return Finding(
                "data-masks",
                f"Annotated masks are not where they should be: they fit when {reading}.",
                f"in {split.split}, annotated boxes overlap the boxes of their masks with mean "
                f"IoU {readings.as_is:.2f} as they are, {readings.best[1]:.2f} when "
                f"these are {reading} ({readings.count} objects)",
                "Write the masks again: polygons as x0, y0, x1, y1, …; run lengths along columns, "
                "with 'size' as [height, width].",
                0.91,
            )
    return None


def masks_beside_image(symptoms: Symptoms) -> Finding | Passed | None:
    """Outlines that follow the edges of the image only under another reading."""
    for split, readings in _measured(symptoms, "outlines"):
        if split.masks is not None and better(split.masks):
            continue  # the boxes show it more precisely
        name, value = readings.best
        if value > EDGE_TIMES * readings.as_is:
            return Finding(
                "data-outlines",
                f"Masks lie beside the objects: they fit when {name}.",
                f"in {split.split}, brightness changes along their outlines {readings.as_is:.1f} "
                f"times as much as elsewhere; {value:.1f} times when {name} "
                f"({readings.count} images)",
                "Compare the image ids, the file names and the order of coordinates in the "
                "annotations with those in their source.",
                0.86,
            )
    return _passed(
        symptoms, "outlines", "edges along the outlines of masks, relative to the whole image:"
    )


def splits_disagree(symptoms: Symptoms) -> Finding | None:
    """Train and val that use the same id for different classes, or have different classes."""
    for a, b in combinations(symptoms.splits, 2):
        if a.categories is None or b.categories is None or a.categories == b.categories:
            continue
        names = {c.coco_id: c.name for c in a.categories}
        moved = [
            f"{c.coco_id} is {names[c.coco_id]!r} in {a.split} and {c.name!r} in {b.split}"
            for c in b.categories
            if names.get(c.coco_id, c.name) != c.name
        ]
        only = sorted(set(a.categories.names) ^ set(b.categories.names))
        if not moved and not only:
            continue
        evidence = [f"category {listed(moved, 3)}"] if moved else []
        evidence += [f"in only one of them: {listed(only)}"] if only else []
        return Finding(
            "splits-disagree",
            f"The categories of {a.split} and {b.split} differ.",
            "; ".join(evidence),
            "Give both annotation files the same 'categories'; classes are compared by name.",
            0.9,
        )
    return None


def blank_images(symptoms: Symptoms) -> Finding | None:
    """Images of a single colour."""
    for split in symptoms.splits:
        if split.blank * 10 > split.images > 0:
            return Finding(
                "blank-images",
                "Some images show nothing.",
                f"{split.blank} of {split.images} images of {split.split} have a single colour",
                "Open the files: a conversion may have divided by 255 twice.",
                0.9,
            )
    return None


def tiny_objects(symptoms: Symptoms) -> Finding | Passed | None:
    """Objects smaller than a cell of most networks' finest feature maps."""
    for split in symptoms.splits:
        if split.sides is not None and split.sides < TINY_SIDE:
            return Finding(
                "tiny-objects",
                "Objects are too small to be learned.",
                f"half of the objects of {split.split} cover less than {split.sides:.1f} x "
                f"{split.sides:.1f} px",
                "Use larger images (--size) or crops.",
                0.6,
            )
    sides = [f"{s.sides:.0f} px in {s.split}" for s in symptoms.splits if s.sides is not None]
    return Passed(f"size of the objects (median): {', '.join(sides)}") if sides else None


def _masks_at_fault(split: SplitSymptoms) -> bool:
    """Whether the masks, not the boxes, miss the objects if the two disagree."""
    outlines = split.outlines
    return outlines is not None and outlines.best[1] > EDGE_TIMES * outlines.as_is


def _measured(symptoms: Symptoms, name: str) -> list[tuple[SplitSymptoms, Readings]]:
    return [(s, getattr(s, name)) for s in symptoms.splits if getattr(s, name) is not None]


def _passed(symptoms: Symptoms, name: str, text: str) -> Passed | None:
    values = [f"{r.as_is:.2f} in {s.split}" for s, r in _measured(symptoms, name)]
    return Passed(f"{text} {', '.join(values)}") if values else None
