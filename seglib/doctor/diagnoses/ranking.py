"""Faults of the scores and of the number of predictions."""

from __future__ import annotations

from seglib.doctor.findings import Finding, Passed
from seglib.doctor.symptoms import Symptoms

LOW_SCORE = 0.05  # evaluations and viewers commonly leave out predictions below this
MOSTLY_REPEATED = 0.5
POOR = 0.2  # share of objects that are located


def scores(symptoms: Symptoms) -> Finding | Passed | None:
    """Scores that are too low to be shown, or all equal."""
    found = symptoms.predictions
    if found is None or found.scores is None:
        return None
    low, high = found.scores
    if high < LOW_SCORE:
        return Finding(
            "scores-low",
            f"All scores are below {LOW_SCORE}.",
            f"scores of {found.predictions} predictions: {low:.3g} to {high:.3g}",
            "Evaluations and viewers commonly leave such predictions out: write class "
            "probabilities, and check that the class layer was trained.",
            0.8,
        )
    if found.distinct_scores == 1 and found.predictions > found.images:
        return Finding(
            "scores-equal",
            "All scores are equal.",
            f"{found.predictions} predictions have the score {high:.3g}",
            "Write the class probability: average precision ranks predictions by their scores.",
            0.6,
        )
    return Passed(f"scores: {low:.2g} to {high:.2g} in {found.predictions} predictions")


def repeated(symptoms: Symptoms) -> Finding | None:
    """Many predictions for the same object."""
    found = symptoms.predictions
    if found is None or found.records is None or found.repeated < MOSTLY_REPEATED:
        return None
    return Finding(
        "repeated",
        "Objects are predicted many times.",
        f"{found.repeated:.0%} of {found.predictions} predictions overlap a better one of their "
        "class with an IoU above 0.7",
        "Apply non-maximum suppression: every repeated detection is a false positive.",
        0.7,
    )


def nothing_fits(symptoms: Symptoms) -> Finding | None:
    """Predictions that are far from the truth under every reading."""
    found = symptoms.predictions
    if found is None or found.records is None:
        return None
    if found.covered == 0:
        evidence = f"none of the first {found.images} images with objects has a prediction"
    elif found.boxes is not None and (share := found.located / found.boxes.count) < POOR:
        evidence = (
            f"{share:.0%} of {found.boxes.count} true boxes have an IoU of at least 0.5 with a "
            f"predicted one; the mean IoU is {found.boxes.as_is:.2f}"
        )
    else:
        return None
    return Finding(
        "nothing-fits",
        "The predictions do not fit these images at all.",
        evidence,
        "Check that they were made for this data set and this split.",
        0.5,
    )
