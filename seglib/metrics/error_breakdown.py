"""The errors of a detector: each false positive is assigned one of five kinds.

Average precision says how good a detector is, but not what it gets wrong. Here each detection is
compared with all true objects of its image at two IoU thresholds: `foreground` (0.5), for a true
positive, and `background` (0.1), below which a detection is not related to an object at all.

    correct         a true positive, as in COCO
    localisation    right class, IoU from 0.1 to below 0.5
    classification  wrong class, IoU 0.5 or more
    duplicate       right class, IoU 0.5 or more, but the object is already found
    background      IoU below 0.1 with every object
    both            anything else: wrong class, IoU from 0.1 to below 0.5

The first kind that applies is assigned, in this order. An object is *missed* if no detection finds
it and no classification or localisation error belongs to it. `ErrorEvaluator` does this for a
data set.

Source: Bolya et al. 2020, "TIDE: a general toolbox for identifying object detection errors",
section 2; the order is that of the authors' code.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglib.metrics.matching import Bools, Floats, Ints, match_detections

FOREGROUND, BACKGROUND = 0.5, 0.1
CORRECT, IGNORED = "correct", "ignored"
REPAIRABLE = ("classification", "localisation")  # a repair makes them true positives
ERRORS = (*REPAIRABLE, "both", "duplicate", "background")
Kinds = NDArray[np.str_]


@dataclass(frozen=True)
class ErrorBreakdown:
    """How often a detector is right, and how often it makes each kind of error.

    Attributes:
        detections: number of judged detections, without those that found a crowd.
        objects: number of objects to find.
        correct: number of true positives.
        errors: kind of error → number of detections. `correct` and all errors add up to
            `detections`.
        missed: number of missed objects.
        ap: average precision at `foreground` in 0…1, nan if there was nothing to find.
        gains: kind of error, or "missed" → how much `ap` would rise if only these errors were
            repaired (TIDE's dAP). The gains do not add up to 1 − `ap`.
    """

    detections: int
    objects: int
    correct: int
    errors: dict[str, int]
    missed: int
    ap: float
    gains: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The figures as JSON values; None where they are undefined."""
        gains = {kind: None if np.isnan(gain) else gain for kind, gain in self.gains.items()}
        return asdict(self) | {"ap": None if np.isnan(self.ap) else self.ap, "gains": gains}


def judge_detections(
    overlaps: Floats,
    labels: Ints,
    true_labels: Ints,
    iscrowd: Bools,
    foreground: float = FOREGROUND,
    background: float = BACKGROUND,
) -> tuple[Kinds, Ints]:
    """Determine the kind of each detection of an image, and the true object that it belongs to.

    A detection that finds only a crowd of its class is ignored, as in COCO; otherwise, crowds play
    no part.

    Args:
        overlaps: float64 [D, G] from `image_overlaps`, best score first.
        labels: int64 [D].
        true_labels: int64 [G].
        iscrowd: bool [G].
        foreground, background: IoU thresholds in 0…1.

    Returns:
        kinds, str [D]: "correct", "ignored" or one of `ERRORS`.
        objects, int64 [D]: the row of the true object, or -1 for "both" and "background".
    """
    same = labels[:, None] == true_labels  # [D, G]
    thresholds = np.array([foreground])
    matches = match_detections(overlaps * same, iscrowd[None], iscrowd, thresholds)[0, 0]  # [D]
    kinds, objects = np.full(len(labels), CORRECT, dtype="<U14"), matches.copy()
    for d, match in enumerate(matches):
        if match >= 0:
            kinds[d] = IGNORED if iscrowd[match] else CORRECT
        else:
            kinds[d], objects[d] = _error(overlaps[d] * ~iscrowd, same[d], foreground, background)
    return kinds, objects


def _error(overlaps: Floats, same: Bools, foreground: float, background: float) -> tuple[str, int]:
    """The kind of a false positive, and the row of its object or -1.

    Args:
        overlaps: [G] of the detection with the objects, 0 for crowds.
        same: bool [G], whether an object has the detection's class.
        foreground, background: IoU thresholds in 0…1.
    """
    if not len(overlaps):
        return "background", -1
    with_same, with_other = overlaps * same, overlaps * ~same
    if background <= with_same.max() < foreground:
        return "localisation", int(with_same.argmax())
    if with_other.max() >= foreground:
        return "classification", int(with_other.argmax())
    if with_same.max() >= foreground:
        return "duplicate", int(with_same.argmax())
    return ("background" if with_other.max() < background else "both"), -1
