"""Decide whether another reading fits better, and shorten lists of names."""

from __future__ import annotations

from collections.abc import Iterable

from seglib.doctor.prediction_symptoms import Readings

MARGIN = 0.2  # of IoU or of a share
TIMES = 1.5
FITS = 0.4  # chance seldom reaches this, even with a shift that was fitted to the truth


def better(readings: Readings) -> str:
    """The name of another reading that fits clearly better than the prescribed one, or ""."""
    name, value = readings.best
    wanted = max(FITS, readings.as_is + MARGIN, TIMES * readings.as_is)
    return name if value >= wanted else ""


def listed(names: Iterable[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = list(names)
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest
