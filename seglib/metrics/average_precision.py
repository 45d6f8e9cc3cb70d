"""Average precision: the figure by which detectors are ranked, from a ranked list of detections.

Four functions compute it, the first two in matching.py, the others here:

    image_overlaps         the IoU of every detection with every true object
    match_detections       in order of score, each detection gets the best free object it overlaps
    precision_recall       after each detection, the shares of correct detections and found objects
    interpolate_precision  the best precision at 101 levels of recall; AP is their mean

`CocoEvaluator` runs all four for every category, IoU threshold and range of object sizes.

Source: Lin et al. 2014, "Microsoft COCO", and the evaluation rules at cocodataset.org.
"""

from __future__ import annotations

import numpy as np

from seglib.metrics.matching import Bools, Floats

RECALL_POINTS: Floats = np.linspace(0.0, 1.0, 101)
UNDEFINED = -1.0  # COCO's value if there was nothing to find


def precision_recall(
    true_positives: Bools, false_positives: Bools, num_objects: int
) -> tuple[Floats, Floats]:
    """Precision and recall after each detection, best score first.

    Args:
        true_positives: bool [..., D], detections that found an object that is not ignored.
        false_positives: bool [..., D], detections that found nothing. A detection that is neither
            (it found an ignored object) changes neither figure.
        num_objects: how many objects there were to find, at least 1.

    Returns:
        precision [..., D]: of the detections so far, the share of true positives.
        recall [..., D]: of the objects, the share found so far; it never falls.
    """
    found = true_positives.cumsum(axis=-1)
    counted = found + false_positives.cumsum(axis=-1)
    return found / np.maximum(counted, 1), found / num_objects


def interpolate_precision(
    precision: Floats, recall: Floats, points: Floats = RECALL_POINTS
) -> Floats:
    """Read the precision at fixed levels of recall, as the best at that recall or beyond.

    The running maximum from the right removes the dips of the curve: nobody would choose a
    threshold if a lower one gives better precision and recall. At a recall that is never reached,
    the precision is 0.

    Args:
        precision: [D], from `precision_recall`.
        recall: [D], from `precision_recall`.
        points: [R] levels of recall in 0…1.

    Returns:
        [R]; the mean over them is the average precision.
    """
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    reached = np.searchsorted(recall, points, side="left")
    return np.append(envelope, 0.0)[reached]


def average_precision(scores: Floats, true_positives: Bools, num_objects: int) -> float:
    """AP of one category at one threshold; every detection is a true or a false positive.

    Args:
        scores: [D], in any order; among equal scores the earlier detection comes first.
        true_positives: [D], in the same order.
        num_objects: how many there were to find.

    Returns:
        the AP in 0…1, or -1 if there was nothing to find.
    """
    if num_objects == 0:
        return UNDEFINED
    order = np.argsort(-np.asarray(scores), kind="stable")
    true_positives = np.asarray(true_positives, dtype=bool)[order]
    precision, recall = precision_recall(true_positives, ~true_positives, num_objects)
    return float(interpolate_precision(precision, recall).mean())
