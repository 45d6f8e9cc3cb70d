"""What several test files share: reading the golden vectors."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np

GOLDEN = Path(__file__).parent / "golden"

Case = dict[str, dict[str, np.ndarray]]


def golden(topic: str) -> dict[str, Case]:
    """Read tests/golden/<topic>.npz as cases[case][role][name].

    Roles are "par" (scalars and small parameters), "in" (inputs) and "out" (expected outputs);
    every case has all three, empty where the file stores none. Arrays are float32 or int64.
    """
    cases: dict[str, Case] = defaultdict(lambda: {"par": {}, "in": {}, "out": {}})
    with np.load(GOLDEN / f"{topic}.npz") as arrays:
        for key in arrays.files:
            case, role, name = key.split(".", 2)
            cases[case][role][name] = arrays[key]
    return dict(cases)
