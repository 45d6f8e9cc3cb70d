"""The category branch predicts the class of the object centred in each cell (section 3.1.1)."""

from __future__ import annotations

from torch import Tensor, nn

from seglib.models.solo.config import SOLOConfig
from seglib.models.solo.layers import Tower, output_conv
from seglib.models.solo.levels import Levels, resize_to_grid
from seglib.ops.precision import at_least_float32


class CategoryBranch(nn.Module):
    """One network for all levels: C class logits for each of S x S cells.

    It has no coordinate channels: what an object is does not depend on where it is.

    Args:
        config: the model's.
        classes: C, without background.
    """

    def __init__(self, config: SOLOConfig, classes: int) -> None:
        super().__init__()
        self.grids = config.grids
        self.tower = Tower(config.fpn_width, config.tower_width, config.tower_layers)
        self.logits = output_conv(config.tower_width, classes, kernel_size=3, prior=True)

    def forward(self, levels: Levels) -> list[Tensor]:
        """The levels -> logits [B, C, S_l, S_l], one map per grid."""
        logits = []
        for side, (features, spans) in zip(self.grids, levels, strict=True):
            cells = resize_to_grid(features, side, spans)  # [B, F, S, S]
            logits.append(at_least_float32(self.logits(self.tower(cells))))  # [B, C, S, S]
        return logits
