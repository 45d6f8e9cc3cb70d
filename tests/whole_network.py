"""Weights and images that anybody can regenerate, and the recorded outputs of official networks.

tests/golden/whole/ has a folder for each network: the names and shapes of its official weights
(layout.json), what was done (case.json), samples of its raw outputs in float64 (outputs.npz), and
its detections (inference.npz). The weights follow from their names by a rule.
"""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tests.helpers import GOLDEN

WHOLE = GOLDEN / "whole"
SAMPLES = 2000
TOLERANCE = 1e-8  # of the largest magnitude of a tensor


@dataclass(frozen=True)
class WholeNetwork:
    """One official network and what it computed."""

    case: dict[str, Any]
    layout: list[tuple[str, list[int], str]]
    outputs: dict[str, np.ndarray]
    inference: dict[str, np.ndarray]

    @classmethod
    def read(cls, name: str) -> WholeNetwork:
        """Read the folder of a network."""
        folder = WHOLE / name
        case, layout = (
            json.loads((folder / f"{part}.json").read_text("utf-8")) for part in ("case", "layout")
        )
        with np.load(folder / "outputs.npz") as out, np.load(folder / "inference.npz") as found:
            return cls(case, layout, dict(out), dict(found))

    def weights(self) -> dict[str, Tensor]:
        """The official state dict."""
        return {name: self._weight(name, shape) for name, shape, _ in self.layout}

    def _weight(self, name: str, shape: list[int]) -> Tensor:
        if name.endswith("num_batches_tracked"):
            return torch.zeros((), dtype=torch.int64)
        values = _normal(name, self.case["offset"], tuple(shape))
        if name.endswith("running_var"):
            values = 1 + 0.1 * np.abs(values)
        elif name.endswith(("running_mean", "bias")):
            values = 0.1 * values
        elif values.ndim >= 2:
            values = values * np.sqrt(1 / math.prod(shape[1:]))
        else:
            values = 1 + 0.1 * values
        for change in self.case["adjust"]:
            if change["name"] == name:
                values = change.get("gain", 1) * values
                values[change.get("at", ...)] += change.get("shift", 0)
        return torch.from_numpy(np.asarray(values, dtype=np.float32))

    def image(self) -> Tensor:
        """The input in RGB: float64 [3, H, W] in 0…1."""
        height, width = self.case["image"]["height"], self.case["image"]["width"]
        generator = _generator("image", self.case["offset"])
        blocks = (math.ceil(height / 32), math.ceil(width / 32), 3)
        coarse = generator.randint(40, 216, blocks, dtype=np.int64)
        fine = generator.randint(-40, 41, (height, width, 3), dtype=np.int64)
        enlarged = coarse.repeat(32, 0).repeat(32, 1)[:height, :width]
        pixels = np.clip(enlarged + fine, 0, 255)
        return torch.from_numpy(pixels).permute(2, 0, 1).double() / 255

    def assert_equal(self, name: str, found: Tensor) -> None:
        """A raw output equals the recorded samples of the tensor with this name."""
        expected = self.case["tensors"][name]
        assert list(found.shape) == expected["shape"], name
        flat = found.detach().flatten().numpy()
        scale = max(abs(expected["min"]), abs(expected["max"]))
        sampled = flat[sampled_places(flat.size)]
        np.testing.assert_allclose(
            sampled, self.outputs[name], rtol=0, atol=TOLERANCE * scale, err_msg=name
        )
        statistics = (flat.mean(), flat.std(), flat.min(), flat.max())
        wanted = [expected[key] for key in ("mean", "std", "min", "max")]
        np.testing.assert_allclose(statistics, wanted, rtol=0, atol=TOLERANCE * scale, err_msg=name)

    def save(self, path: Path, prefix: str = "") -> Path:
        """Write the weights as a training script of mmdetection does."""
        state = {f"{prefix}{name}": value for name, value in self.weights().items()}
        torch.save({"meta": {"epoch": 12}, "state_dict": state}, path)
        return path


def sampled_places(count: int) -> np.ndarray:
    """The places of the recorded values among `count` in row-major order."""
    return np.random.RandomState(0).permutation(count)[:SAMPLES]


def _generator(name: str, offset: int) -> np.random.RandomState:
    return np.random.RandomState((zlib.crc32(name.encode()) + offset) % 2**32)


def _normal(name: str, offset: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.asarray(_generator(name, offset).standard_normal(shape))
