"""Faults of a checkpoint: its file, its classes, its settings."""

from __future__ import annotations

import math

from seglib.doctor.diagnoses.wording import listed
from seglib.doctor.findings import Finding, Passed
from seglib.doctor.symptoms import Symptoms

UNTRAINED = 0.9  # share of biases and norms with the values of a new model
MARGIN = 0.1  # of AP50 or mean IoU, to prefer another setting
TIMES = 1.5
POOR = 0.05  # AP50, mean IoU or recall
ALL_BACKGROUND = 0.95  # share of object pixels


def broken_file(symptoms: Symptoms) -> Finding | None:
    """A file that cannot be loaded."""
    weights = symptoms.weights
    if weights is None or not weights.fault:
        return None
    if weights.is_missing and symptoms.log is not None and symptoms.log.is_interrupted:
        return None  # the interrupted run is the cause
    return Finding(
        "broken-checkpoint",
        "The checkpoint cannot be loaded.",
        weights.fault,
        "Copy it again, or give another: a run's folder, a file, or a shipped checkpoint.",
        0.97,
    )


def other_paradigm(symptoms: Symptoms) -> Finding | None:
    """A file of another paradigm than the run's settings name."""
    weights = symptoms.weights
    if weights is None or weights.fault or weights.wanted in (None, weights.model):
        return None
    return Finding(
        "wrong-checkpoint",
        "The checkpoint does not belong to this run.",
        f"run.json names {weights.wanted!r}, model.safetensors contains {weights.model!r}",
        "Restore this run's own file, or train again into another folder.",
        0.97,
    )


def untrained(symptoms: Symptoms) -> Finding | Passed | None:
    """Weights that are still those of a new model."""
    weights = symptoms.weights
    if weights is None or not weights.vectors:
        return None
    share = weights.as_at_start / weights.vectors
    if share < UNTRAINED:
        return Passed(
            f"weights: all finite; {weights.vectors - weights.as_at_start} of {weights.vectors} "
            "biases and normalisation parameters differ from those of a new model"
        )
    return Finding(
        "untrained",
        "The checkpoint has not been trained.",
        f"{weights.as_at_start} of {weights.vectors} biases and normalisation parameters have "
        "exactly the values of a new model",
        "Load the trained weights, or train; check that your loading code does not skip names "
        "(strict=False).",
        0.96,
    )


def dead_layers(symptoms: Symptoms) -> Finding | None:
    """Matrices or kernels that are all zeros."""
    weights = symptoms.weights
    if weights is None or not weights.dead:
        return None
    return Finding(
        "dead-layers",
        "Some layers of the checkpoint contain only zeros.",
        f"{len(weights.dead)} weights are all zeros: {listed(weights.dead, 3)}",
        "Load the trained weights again; if training made them zero, lower --weight-decay and "
        "--lr.",
        0.85,
    )


def no_common_class(symptoms: Symptoms) -> Finding | Passed | None:
    """A checkpoint that knows at most half of the data set's classes."""
    weights = symptoms.weights
    known = weights.categories if weights is not None else None
    asked = next((s.categories for s in symptoms.splits if s.categories is not None), None)
    if known is None or asked is None:
        return None
    shared = [name for name in asked.names if name in known.names]
    if len(shared) * 2 > len(asked):
        return Passed(f"classes: the checkpoint knows {len(shared)} of the data set's {len(asked)}")
    folded = {name.strip().casefold(): name for name in known.names}
    nearly = [
        f"{name!r} and {folded[name.strip().casefold()]!r}"
        for name in asked.names
        if name not in known.names and name.strip().casefold() in folded
    ]
    spelling = f"; these differ only in spelling: {listed(nearly, 3)}" if nearly else ""
    return Finding(
        "no-common-class",
        "The checkpoint and the data set have few or no classes in common.",
        f"{len(shared)} of the data set's {len(asked)} classes: it has {listed(asked.names)}; the "
        f"checkpoint knows {listed(known.names)}{spelling}",
        "Rename the categories, which are compared by name, or train on this data set "
        "(--init starts from the checkpoint).",
        0.96,
    )


def normalisation(symptoms: Symptoms) -> Finding | Passed | None:
    """A model that does better with another normalisation of the images."""
    model = symptoms.model
    if model is None or model.inputs is None:
        return None
    name, value = model.inputs.best
    if not (value >= model.value + MARGIN and value >= TIMES * model.value):
        return Passed(
            f"normalisation: {model.figure} {model.value:.2f} as it is, at most {value:.2f} "
            f"with another one, on {model.images} images"
        )
    return Finding(
        "normalisation",
        "Images are not normalised as the weights expect.",
        f"{model.figure} is {model.value:.2f} as it is, {value:.2f} {name} ({model.images} images)",
        "Set pixel_mean and pixel_std in the model's configuration to those of its training.",
        0.93,
    )


def thresholds(symptoms: Symptoms) -> Finding | Passed | None:
    """A score threshold that removes correct predictions."""
    model = symptoms.model
    if model is None or model.thresholds is None:
        return None
    value, count = model.thresholds
    limits = ", ".join(f"{name} {limit:g}" for name, limit in model.lowered.items())
    kept = f"{model.predictions} of {count} candidates"
    if not (value >= model.value + MARGIN and value >= TIMES * model.value):
        return Passed(f"score thresholds ({limits}): keep {kept}")
    return Finding(
        "threshold",
        "The score threshold removes correct predictions.",
        f"{limits}: {kept} remain, {model.figure} {model.value:.2f}; without it, {value:.2f}",
        "Lower the threshold in the model's configuration; average precision also uses "
        "predictions with low scores.",
        0.9,
    )


def other_images(symptoms: Symptoms) -> Finding | None:
    """A model that finds nothing in images of a data set that it was not trained on."""
    model, weights = symptoms.model, symptoms.weights
    if model is None or weights is None or not weights.trained_on or model.value >= POOR:
        return None
    if weights.trained_on == symptoms.dataset or not math.isfinite(model.value):
        return None
    return Finding(
        "other-images",
        "The checkpoint was trained on another kind of images.",
        f"trained on {weights.trained_on}, examined on {symptoms.dataset}: {model.figure} "
        f"{model.value:.2f} on {model.images} images",
        "Train on this data set; --init starts from the checkpoint.",
        0.6,
    )


def finds_nothing(symptoms: Symptoms) -> Finding | None:
    """A poor figure without a cause."""
    model = symptoms.model
    if model is None or not model.figure or not math.isfinite(model.value):
        return None
    # A map of background alone can reach a mean IoU of 0.2.
    empty = symptoms.predictions.empty if symptoms.predictions is not None else None
    if model.value >= POOR and (empty is None or empty < ALL_BACKGROUND):
        return None
    missed = "" if empty is None else f"; {empty:.0%} of object pixels are predicted as background"
    return Finding(
        "poor-figure",
        "The model finds almost nothing, and this command cannot tell why.",
        f"{model.figure} {model.value:.3f} on {model.images} images{missed}",
        "Look at its predictions (`seglib predict`), and fit a few images (`seglib train … "
        "--overfit 4`).",
        0.3,
    )
