"""Intervals of paired differences, by hand and against scipy."""

import numpy as np
import pytest
from scipy import stats

from seglib import SeglibError
from seglib.metrics.paired import paired_difference


def test_three_pairs_by_hand() -> None:
    # Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t with 2 degrees of freedom 4.3027.
    result = paired_difference([2.0, 4.0, 6.0], [1.0, 2.0, 3.0])
    assert result.mean == pytest.approx(2.0)
    assert result.high - result.mean == pytest.approx(4.30265 / 3**0.5, rel=1e-4)
    assert result.includes_zero


def test_it_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    ours, theirs = rng.normal(0.5, 0.1, 6), rng.normal(0.4, 0.1, 6)
    expected = stats.ttest_rel(ours, theirs).confidence_interval(0.9)
    result = paired_difference(list(ours), list(theirs), confidence=0.9)
    assert (result.low, result.high) == pytest.approx((expected.low, expected.high))


def test_equal_gains_have_an_interval_without_width() -> None:
    result = paired_difference([1.5, 2.5], [1.0, 2.0])
    assert (result.low, result.high) == pytest.approx((0.5, 0.5))
    assert not result.includes_zero


def test_too_few_runs_are_refused() -> None:
    with pytest.raises(SeglibError, match="got 1 and 1"):
        paired_difference([1.0], [0.0])
