"""Is one method better than another? Differences of paired runs, with their interval.

Runs that share a seed share their data order and their start: what is left of the difference
between them is the method, and the spread over seeds says how sure that is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

from seglib.errors import SeglibError


class PairedDifference(NamedTuple):
    """Mean difference of paired runs and where the true one lies.

    Attributes:
        mean: of the differences.
        low: lower end of the interval.
        high: upper end.
    """

    mean: float
    low: float
    high: float

    @property
    def includes_zero(self) -> bool:
        """Whether the runs leave it open which method is better."""
        return self.low <= 0 <= self.high


def paired_difference(
    ours: Sequence[float], theirs: Sequence[float], confidence: float = 0.95
) -> PairedDifference:
    """Student's interval for the mean of the differences ours − theirs.

    Args:
        ours: a figure of each run.
        theirs: the same figure of the run with the same seed.
        confidence: share of such intervals that hold the true difference, in 0…1.

    Raises:
        SeglibError: other than one run of each for at least two seeds.
    """
    if len(ours) != len(theirs) or len(ours) < 2:
        raise SeglibError(
            f"a paired difference needs two runs or more of each method, got {len(ours)} and "
            f"{len(theirs)}"
        )
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(differences) - 1)) * error
    return PairedDifference(mean, mean - reach, mean + reach)
