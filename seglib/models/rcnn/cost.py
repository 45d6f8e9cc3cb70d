"""What a pipeline's steps cost: seconds by step, and how often the network ran."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class StepCost:
    """Counts since it was made; put a new one in its place to start afresh.

    Attributes:
        seconds: by step, in the order the steps first ran.
        forward_passes: crops that went through the network, each on its own pixels.
        images: predicted.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    forward_passes: int = 0
    images: int = 0

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Add the time inside the block to a step."""
        start = time.perf_counter()
        try:
            yield
        finally:
            elapsed = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + elapsed

    def per_image(self) -> dict[str, float]:
        """Seconds of each step for one predicted image; empty before the first."""
        return {name: s / self.images for name, s in self.seconds.items()} if self.images else {}
