"""Linear layers in a row with ReLUs between them."""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor, nn


class MLP(nn.Module):
    """[..., inputs] -> [..., outputs] through `layers` linear layers of `hidden` channels."""

    def __init__(self, inputs: int, hidden: int, outputs: int, layers: int) -> None:
        super().__init__()
        sizes = (inputs, *[hidden] * (layers - 1), outputs)
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))

    def forward(self, x: Tensor) -> Tensor:
        """No ReLU after the last layer."""
        *inner, last = self.layers
        for layer in inner:
            x = F.relu(layer(x))  # [..., hidden]
        output: Tensor = last(x)  # [..., outputs]
        return output
