"""Faults of a training run, from its log."""

from __future__ import annotations

from seglib.counted import counted
from seglib.doctor.findings import Finding, Passed
from seglib.doctor.symptoms import LogSymptoms, Symptoms

STAYED = 0.9  # last loss / first loss above which the loss has not fallen
GREW = 1.3  # last loss / lowest loss above which the loss has grown again
STILL_FALLING = 0.03  # relative fall from the last tenth but one to the last
FAR = 4.0  # a learning rate this many times the shipped run's, or its inverse, is suspicious
HIGH_RATE = {"adamw": 1e-2, "sgd": 0.2}  # if there is no shipped run to compare with
SHORT = 0.1  # share of the images that the shipped run saw below which a run is short
GOOD_FIGURE = 0.3  # a model that reaches it was trained for long enough


def not_finite(symptoms: Symptoms) -> Finding | None:
    """A loss that became NaN or infinite."""
    log = symptoms.log
    if log is None or not log.not_finite:
        return None
    return Finding(
        "loss-not-finite",
        "The loss became NaN or infinite.",
        f"{log.not_finite} of {log.steps} steps have no finite loss; learning rate {_rate(log)}",
        "Train again with a tenth of the learning rate, --clip 1 and --precision fp32.",
        0.94,
    )


def interrupted(symptoms: Symptoms) -> Finding | None:
    """A run that stopped before its last step."""
    log = symptoms.log
    if log is None or not log.is_interrupted:
        return None
    return Finding(
        "interrupted",
        "The training was interrupted.",
        f"{log.steps} of {log.planned} steps are in the log",
        "Continue it with `seglib train MODEL --out RUN --resume`.",
        0.75,
    )


def rate_too_high(symptoms: Symptoms) -> Finding | Passed | None:
    """A high learning rate with a loss that does not fall or grows again, or with a poor figure."""
    log, model = symptoms.log, symptoms.model
    if log is None or log.lr is None or log.not_finite:
        return None
    poor = model is not None and model.value < GOOD_FIGURE
    if log.lr <= _limit(log) or not (poor or _stayed(log) or log.last > GREW * log.lowest):
        fall = f"loss: {log.first:.3g} in the first tenth of {log.steps} steps, {log.last:.3g}"
        return None if _stayed(log) else Passed(f"{fall} in the last")
    return Finding(
        "rate-too-high",
        "The learning rate is too high.",
        f"the loss is {log.first:.3g} in the first tenth of the steps, {log.lowest:.3g} at its "
        f"lowest and {log.last:.3g} in the last tenth; learning rate {_rate(log)}",
        f"Train again with --lr {_usual(log):g}.",
        0.84,
    )


def rate_too_low(symptoms: Symptoms) -> Finding | None:
    """A loss that does not fall, at a learning rate that is not high."""
    log = symptoms.log
    if log is None or log.lr is None or log.not_finite or not _stayed(log):
        return None
    if log.lr > _limit(log) or _is_short(log):
        return None
    if log.lr * FAR < _usual(log):
        return Finding(
            "rate-too-low",
            "The learning rate is too low.",
            f"the loss is {log.first:.3g} in the first tenth of the steps and {log.last:.3g} in "
            f"the last; learning rate {_rate(log)}",
            f"Train again with --lr {_usual(log):g}.",
            0.8,
        )
    return Finding(
        "loss-stays",
        "The model does not learn, although the learning rate is a common one.",
        f"the loss is {log.first:.3g} in the first tenth of the steps and {log.last:.3g} in the "
        f"last; learning rate {_rate(log)}",
        "Overfit a few images first (--overfit 4): if that fails, the fault is in the data or in "
        "the loss.",
        0.5,
    )


def too_few_steps(symptoms: Symptoms) -> Finding | None:
    """A run that ended long before the shipped one, or while its loss was still falling."""
    log, model = symptoms.log, symptoms.model
    if log is None or log.not_finite or log.is_interrupted or log.last >= log.first:
        return None
    if model is not None and model.value >= GOOD_FIGURE:
        return None
    falling = 1 - log.last / log.before_last if log.before_last > 0 else 0.0
    if not _is_short(log) and not (log.usual_images is None and falling > STILL_FALLING):
        return None
    seen = log.steps * log.batch_size
    usual = "" if log.usual_images is None else f" (the shipped run: {log.usual_images:,})"
    return Finding(
        "too-few-steps",
        "The training is too short.",
        f"the model saw {counted(seen, 'image')} in {counted(log.steps, 'step')}, repetitions "
        f"included{usual}; the loss went from {log.first:.3g} to {log.last:.3g}",
        "Train longer (--steps), or start from a checkpoint (--init).",
        0.78,
    )


def _limit(log: LogSymptoms) -> float:
    """Learning rates above this are suspicious."""
    return FAR * log.usual_lr if log.usual_lr else HIGH_RATE.get(log.optimizer, 1e-2)


def _stayed(log: LogSymptoms) -> bool:
    return not log.last < STAYED * log.first


def _is_short(log: LogSymptoms) -> bool:
    seen = log.steps * log.batch_size
    return log.usual_images is not None and seen < SHORT * log.usual_images


def _usual(log: LogSymptoms) -> float:
    """A learning rate to begin with."""
    return log.usual_lr or {"sgd": 0.01}.get(log.optimizer, 1e-3)


def _rate(log: LogSymptoms) -> str:
    """The learning rate beside the shipped run's."""
    usual = "" if log.usual_lr is None else f" (the shipped run: {log.usual_lr:g})"
    return f"{log.lr:g} with {log.optimizer}{usual}" if log.lr is not None else "unknown"
