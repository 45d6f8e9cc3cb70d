"""The cost of a pipeline's steps: seconds per step, and how often the network ran."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class StepCost:
    """Totals since the object was created; to reset them, create a new object.

    Attributes:
        seconds: per step, in the order in which the steps first ran.
        forward_passes: number of crops that went through the network.
        images: number of predicted images.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    forward_passes: int = 0
    images: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time spent in the block to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed

    def per_image(self) -> dict[str, float]:
        """Seconds of each step per predicted image; empty before the first."""
        return {name: s / self.images for name, s in self.seconds.items()} if self.images else {}
