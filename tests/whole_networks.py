"""Whole official networks: weights and an image that anybody can regenerate, and their outputs.

tests/golden/whole/<case>/ has a network's layout, its case (adjusted weights, image, statistics of
every tensor), sampled outputs in float64, and final detections, recorded from the official code.
"""

from __future__ import annotations

import json
import zlib
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.helpers import GOLDEN

SAMPLED = 2000  # values per tensor


class WholeNetwork:
    """One recorded network.

    Attributes:
        about: what case.json says.
        outputs: sampled values of every tensor.
        inference: the final detections.
    """

    def __init__(self, case: str) -> None:
        self.folder: Path = GOLDEN / "whole" / case
        self.about: dict[str, Any] = json.loads((self.folder / "case.json").read_text())
        self.outputs = dict(np.load(self.folder / "outputs.npz"))
        self.inference = dict(np.load(self.folder / "inference.npz"))

    def weights(self, beginning_with: str = "") -> dict[str, Tensor]:
        """The network's state dict, float32, by the official names."""
        layout = json.loads((self.folder / "layout.json").read_text())
        names = [(name, shape) for name, shape, _ in layout if name.startswith(beginning_with)]
        return {name: self._weight(name, shape) for name, shape in names}

    def _weight(self, name: str, shape: list[int]) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.tensor(0)
        seed = (zlib.crc32(name.encode()) + self.about["offset"]) % 2**32
        z = np.random.RandomState(seed).standard_normal(tuple(shape))
        if name.endswith("running_var"):
            y = 1 + 0.1 * np.abs(z)
        elif name.endswith(("running_mean", "bias")):
            y = 0.1 * z
        elif len(shape) >= 2:
            y = z * np.sqrt(1 / prod(shape[1:]))
        else:
            y = 1 + 0.1 * z
        for rule in self.about["adjust"]:
            if rule["name"] == name:
                y = rule.get("gain", 1.0) * y
                y[rule.get("at", slice(None))] += rule.get("shift", 0.0)
        return torch.from_numpy(np.asarray(y, dtype=np.float32))

    def image(self) -> Tensor:
        """float64 [3, H, W] in 0…1, RGB."""
        height, width = self.about["image"]["height"], self.about["image"]["width"]
        random = np.random.RandomState((zlib.crc32(b"image") + self.about["offset"]) % 2**32)
        cells = (ceil(height / 32), ceil(width / 32), 3)
        coarse = random.randint(40, 216, cells, dtype=np.int64)
        fine = random.randint(-40, 41, (height, width, 3), dtype=np.int64)
        blocks = coarse.repeat(32, axis=0).repeat(32, axis=1)[:height, :width]
        return torch.from_numpy(np.clip(blocks + fine, 0, 255)).permute(2, 0, 1).double() / 255

    def assert_same(self, name: str, found: Tensor, tolerance: float = 1e-8) -> None:
        """A tensor has the recorded shape, values and statistics, relative to its largest value."""
        about = self.about["tensors"][name]
        assert list(found.shape) == about["shape"], name
        flat = found.flatten()
        largest = max(abs(about["min"]), abs(about["max"]))
        sampled = flat[sampled_positions(len(flat))]
        expected = torch.from_numpy(self.outputs[name])
        torch.testing.assert_close(sampled, expected, rtol=0, atol=tolerance * largest, msg=name)
        statistics = {"mean": flat.mean(), "min": flat.min(), "max": flat.max()}
        statistics["std"] = flat.std(correction=0)
        for key, value in statistics.items():
            assert abs(value.item() - about[key]) <= tolerance * largest, (name, key)


def sampled_positions(count: int) -> Tensor:
    """int64 [at most 2000]: the positions of a flattened tensor that were recorded."""
    return torch.from_numpy(np.random.RandomState(0).permutation(count)[:SAMPLED])
