"""What a planted fault is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

Arguments = Sequence[object]


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes:
        name: what the user did.
        plant: makes the files in a folder and returns the arguments of `seglib doctor`.
        code: of the finding that names the cause.
        is_slow: whether planting or finding it takes seconds.
    """

    name: str
    plant: Callable[[Path], Arguments]
    code: str
    is_slow: bool = False
