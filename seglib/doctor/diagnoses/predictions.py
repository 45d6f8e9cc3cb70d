"""Faults of predictions, from a file or from a model."""

from __future__ import annotations

from seglib.counted import counted
from seglib.doctor.diagnoses.wording import better, listed
from seglib.doctor.findings import Finding, Passed
from seglib.doctor.measures.classes import FEWEST, RENAMED
from seglib.doctor.prediction_symptoms import Readings
from seglib.doctor.symptoms import Symptoms

COVERED = 0.75  # share of images with objects below which missing predictions are suspicious
FEWEST_IMAGES = 4
CLEAR_MAPPING = 0.75  # share of objects that a mapping of classes must explain
WRONG = 0.2  # share of objects with the right class


def faulty_records(symptoms: Symptoms) -> Finding | Passed | None:
    """Records that cannot be read."""
    found = symptoms.predictions
    if found is None or found.records is None:
        return None
    if not found.unreadable:
        return Passed(f"predictions: all {found.records} records can be read")
    total = sum(found.unreadable.values())
    kinds = [f"{times} x {fault}" for fault, times in found.unreadable.most_common()]
    return Finding(
        "faulty-predictions",
        "Some records of the predictions are faulty.",
        f"{counted(total, 'fault')} in {counted(found.records, 'record')}: {listed(kinds, 3)}",
        "Write one record per object: image_id, category_id, bbox (x, y, width, height), score, "
        "and segmentation as run lengths with 'size' [height, width].",
        0.94,
    )


def unknown_ids(symptoms: Symptoms) -> Finding | None:
    """Ids that are not in the data set."""
    found = symptoms.predictions
    if found is None or not found.records:
        return None
    unknown = [
        f"{times} of {found.records} records have {what} that is not in the data set"
        for times, what in (
            (found.unknown_images, "an image_id"),
            (found.unknown_classes, "a category_id"),
        )
        if times
    ]
    if not unknown:
        return None
    return Finding(
        "unknown-ids",
        "Some predictions have ids that are not in the data set.",
        "; ".join(unknown),
        "Use the ids of 'images' and 'categories' in the annotation file, not positions or "
        "labels, and predict the same split.",
        0.85,
    )


def images_mixed_up(symptoms: Symptoms) -> Finding | Passed | None:
    """Predictions that belong to images other than those whose ids they have."""
    found = symptoms.predictions
    if found is None or found.image_ids is None:
        return None
    reading = better(found.image_ids)
    if not reading:
        covered = f"{found.covered} of {found.images} images with objects have predictions"
        if found.images >= FEWEST_IMAGES and found.covered <= COVERED * found.images:
            return Finding(
                "images-left-out",
                "Some images have no predictions.",
                covered,
                "Predict every image of the split, and write the id of each; keep low scores.",
                0.5,
            )
        return Passed(f"image ids: {covered}")
    return Finding(
        "images-mixed-up",
        f"Image ids are wrong: they fit when {reading}.",
        f"true boxes overlap the best predicted ones with {_iou(found.image_ids, reading)}",
        "Write the id of the image that was predicted; it is easily lost by a loader that "
        "shuffles or counts from 0.",
        0.95,
    )


def boxes_misread(symptoms: Symptoms) -> Finding | Passed | None:
    """Boxes that fit only under another reading."""
    found = symptoms.predictions
    if found is None or found.boxes is None:
        return None
    reading = better(found.boxes)
    if not reading:
        return Passed(
            f"boxes: predicted ones overlap true ones with mean IoU {found.boxes.as_is:.2f}"
        )
    form = "corners (x0, y0, x1, y1)" if found.records is None else "(x, y, width, height)"
    return Finding(
        "boxes-misread",
        f"Predicted boxes are not {form} in pixels of the image: they fit when {reading}.",
        f"predicted boxes overlap the true ones with {_iou(found.boxes, reading)}",
        f"Write {form} in pixels of the original image.",
        0.93,
    )


def masks_misread(symptoms: Symptoms) -> Finding | Passed | None:
    """Masks that fit only when they are moved or read in another way."""
    found = symptoms.predictions
    if found is None or found.masks is None:
        return None
    reading = better(found.masks)
    if not reading:
        return Passed(
            f"masks: predicted ones overlap true ones with mean IoU {found.masks.as_is:.2f}"
        )
    return Finding(
        "masks-misread",
        f"Predicted masks are not where they should be: they fit when {reading}.",
        f"predicted masks overlap the true ones with {_iou(found.masks, reading)}",
        _mask_advice(reading),
        0.92,
    )


def _mask_advice(reading: str) -> str:
    """What to do about masks that fit under a reading of `MASK_READINGS`, or when moved."""
    if reading.startswith("moved"):
        return "Undo padding and cropping before masks are written; check the boxes' origin."
    if reading.startswith("resized"):
        return "Resize masks to the original size of the image before they are encoded."
    if reading.startswith("mirrored"):
        return "Undo flips, such as those of test-time augmentation, before masks are written."
    return (
        "Encode masks as [height, width] arrays, columns first (pycocotools needs "
        "np.asfortranarray); 'size' is [height, width], and polygons are x0, y0, x1, y1, …"
    )


def classes_mixed_up(symptoms: Symptoms) -> Finding | Passed | None:
    """Objects that are found, but with wrong classes, which may follow a rule."""
    found = symptoms.predictions
    readings = None if found is None else found.classes or found.pixels
    if found is None or readings is None:
        return None
    what = "located objects" if readings is found.classes else "object pixels"
    reading = better(readings)
    name, value = readings.best
    if not reading or value < CLEAR_MAPPING:
        if readings.as_is < WRONG and readings.count >= FEWEST:
            return Finding(
                "classes-wrong",
                "Objects are found, but their classes are wrong.",
                f"{readings.as_is:.0%} of {readings.count} {what} have the right class, and no "
                "other reading of the class ids explains it",
                "Compare the categories in training with those of the data set; train the class "
                "layer longer.",
                0.55,
            )
        return Passed(f"classes: {readings.as_is:.0%} of {readings.count} {what} are right")
    if readings.otherwise.get(name) == value and name == RENAMED:
        others = {k: v for k, v in readings.otherwise.items() if v == value and k != RENAMED}
        name = next(iter(others), name)  # a rule such as "add 1" is a better explanation
    return Finding(
        "classes-mixed-up",
        f"Class ids are wrong: they fit when {name}.",
        f"{readings.as_is:.0%} of {readings.count} {what} have the right class as they are, "
        f"{value:.0%} when {name}",
        "Write the data set's category ids, and keep the order that the classes had in training.",
        0.92,
    )


def _iou(readings: Readings, reading: str) -> str:
    """The mean IoUs of both readings, in words."""
    return (
        f"mean IoU {readings.as_is:.2f} as they are, {readings.otherwise[reading]:.2f} "
        f"when {reading} ({readings.count} objects)"
    )
