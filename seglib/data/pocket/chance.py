"""Random choices that are the same on every machine and with every version of NumPy.

NumPy guarantees that the raw stream of a bit generator never changes, but not the numbers that
`Generator` derives from it. So only the raw stream is used here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_BLOCK = 2048


class Chance:
    """A stream of random choices identified by (version, seed, index)."""

    def __init__(self, version: int, seed: int, index: int) -> None:
        """Equal arguments give equal streams, different arguments independent ones."""
        key = np.array([(version << 48) ^ seed, index], dtype=np.uint64)
        self._bits = np.random.Philox(key=key)
        self._buffer: list[float] = []

    def unit(self) -> float:
        """A float in [0, 1), a multiple of 2⁻⁵³."""
        if not self._buffer:
            raw = self._bits.random_raw(_BLOCK) >> np.uint64(11)
            self._buffer = (raw * 2.0**-53).tolist()
        return self._buffer.pop()

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.unit()

    def near(self, center: float, reach: float) -> float:
        """Triangular around `center`, at most `reach` away from it."""
        return center + reach * (self.unit() - self.unit())

    def log_between(self, low: float, high: float) -> float:
        """Log-uniform in [low, high)."""
        return low * math.exp(self.unit() * math.log(high / low))

    def integer(self, low: int, high: int) -> int:
        """Uniform among low, …, high, both inclusive."""
        return low + int(self.unit() * (high - low + 1))

    def happens(self, probability: float) -> bool:
        """True with this probability."""
        return self.unit() < probability

    def sign(self) -> float:
        """+1 or −1."""
        return 1.0 if self.unit() < 0.5 else -1.0

    def pick(self, items: Sequence[T], weights: Sequence[float] | None = None) -> T:
        """One of `items`, with these relative weights (equal if None)."""
        if weights is None:
            return items[int(self.unit() * len(items))]
        threshold = self.unit() * sum(weights)
        for item, weight in zip(items, weights, strict=True):
            threshold -= weight
            if threshold < 0:
                return item
        return items[-1]
