"""Compare two methods by the differences of paired runs, with a confidence interval.

Runs with the same seed see the same data in the same order and start from the same weights, so
that only the method differs. The spread over seeds shows how certain the difference is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from seglib.errors import SeglibError


class PairedDifference(NamedTuple):
    """The mean of the differences, and the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """Whether the runs leave open which method is better."""
        return self.low <= 0 <= self.high


def paired_difference(
    ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95
) -> PairedDifference:
    """Student's t interval for the mean of the differences ours − theirs.

    Args:
        ours: one figure per run.
        theirs: the same figure for the runs with the same seeds, in the same order.
        confidence: share of such intervals that contain the true difference, in 0…1.

    Raises:
        SeglibError: fewer than two pairs, or a run without its partner.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise SeglibError(
            "a paired difference needs at least two runs of each method, with the same seeds; "
            f"got {len(ours)} and {len(theirs)}"
        )
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return PairedDifference(mean, mean - reach, mean + reach)
