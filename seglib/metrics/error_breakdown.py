"""What a detector gets wrong: every false positive and every missed object gets one cause.

Average precision says how good a detector is, and not why. Here each detection is compared with
all true objects of its image at two thresholds: `foreground` (0.5), the IoU of a true positive,
and `background` (0.1), below which it covers nothing.

    correct         a true positive, as in COCO
    localisation    its own class, IoU from 0.1 to below 0.5
    classification  IoU 0.5 or more, with an object of another class
    duplicate       its own class, IoU 0.5 or more, but the object is found already
    background      IoU below 0.1 with every object
    both            anything else: another class, IoU from 0.1 to below 0.5

The first that applies counts, in this order. An object is *missed* if no detection finds it and
none with a classification or localisation error is about it. `ErrorEvaluator` gathers images.

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
    """How often a detector is right, and wrong in which way.

    Attributes:
        detections: how many were judged; those that found a crowd are not among them.
        objects: how many there were to find.
        correct: true positives.
        errors: kind of error → detections. `correct` and all errors add up to `detections`.
        missed: objects that no detection is about.
        ap: average precision at `foreground`, nan if there was nothing to find.
        gains: kind of error, or "missed" → what `ap` would gain if these errors alone were
            repaired (TIDE's dAP). They do not add up to what is missing.
    """

    detections: int
    objects: int
    correct: int
    errors: dict[str, int]
    missed: int
    ap: float
    gains: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """JSON values; None where undefined."""
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
    """Give each detection of an image its kind, and the true object that it is about.

    A detection that finds nothing but a crowd of its class is ignored, as in COCO; apart from
    that, crowds play no part.

    Args:
        overlaps: [D, G] from `image_overlaps`, rows in falling order of score.
        labels: [D].
        true_labels: [G].
        iscrowd: [G].
        foreground, background: IoU thresholds in 0…1.

    Returns:
        kinds [D]: "correct", "ignored" or one of `ERRORS`.
        objects int64 [D]: row of the true object, or -1 for "both" and "background".
    """
    own = labels[:, None] == true_labels  # [D, G]
    thresholds = np.array([foreground])
    matches = match_detections(overlaps * own, iscrowd[None], iscrowd, thresholds)[0, 0]  # [D]
    kinds, objects = np.full(len(labels), CORRECT, dtype="<U14"), matches.copy()
    for d, match in enumerate(matches):
        if match >= 0:
            kinds[d] = IGNORED if iscrowd[match] else CORRECT
        else:
            kinds[d], objects[d] = _error(overlaps[d] * ~iscrowd, own[d], foreground, background)
    return kinds, objects


def _error(overlaps: Floats, own: Bools, foreground: float, background: float) -> tuple[str, int]:
    """The kind of a false positive and its object, from its overlaps [G] and its own class [G]."""
    if not len(overlaps):
        return "background", -1
    same, other = overlaps * own, overlaps * ~own
    if background <= same.max() < foreground:
        return "localisation", int(same.argmax())
    if other.max() >= foreground:
        return "classification", int(other.argmax())
    if same.max() >= foreground:
        return "duplicate", int(same.argmax())
    return ("background" if other.max() < background else "both"), -1
