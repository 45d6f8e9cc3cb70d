"""The mask branches predict the mask of the object centred in each cell (sections 3.1.2 and 4)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from seglib.models.solo.config import SOLOConfig
from seglib.models.solo.layers import NormedConv, Tower, output_conv
from seglib.models.solo.levels import Levels, resize_to_grid
from seglib.models.solo.mask_maps import DecoupledMaps, DynamicMaps, LocationMaps, MaskMaps
from seglib.ops.coord_conv import Axes, Sizes, with_coordinates
from seglib.ops.precision import at_least_float32
from seglib.ops.upsampling import interpolate


class LocationBranch(nn.Module):
    """SOLO's mask branch: S² channels, each with the mask of one cell's object.

    To predict a different object in every channel, the network must know positions: its first
    convolution has coordinate channels.
    """

    def __init__(self, config: SOLOConfig) -> None:
        super().__init__()
        self.grids, width = config.grids, config.tower_width
        self.tower = Tower(config.fpn_width, width, config.tower_layers, axes="xy")
        self.logits = nn.ModuleList(
            output_conv(width, side**2, kernel_size=1, prior=True) for side in self.grids
        )

    def forward(self, pyramid: Sequence[Tensor], levels: Levels) -> MaskMaps:
        """Levels -> logits [B, S², 2h, 2w] per level; the pyramid itself is not used."""
        logits = []
        for layer, (features, spans) in zip(self.logits, levels, strict=True):
            hidden = _doubled(self.tower(features, spans))  # [B, width, 2h, 2w]
            logits.append(at_least_float32(layer(hidden)))  # [B, S², 2h, 2w]
        return LocationMaps(logits, self.grids)


class DecoupledBranch(nn.Module):
    """Decoupled SOLO's mask branch: S channels for the columns and S for the rows, not S².

    Each has a tower that reads its own coordinate; the light variant has one tower with both.
    """

    def __init__(self, config: SOLOConfig) -> None:
        super().__init__()
        width = config.tower_width
        axes: tuple[Axes, ...] = ("xy",) if config.variant == "decoupled_light" else ("x", "y")
        self.towers = nn.ModuleList(
            Tower(config.fpn_width, width, config.tower_layers, own) for own in axes
        )
        self.columns, self.rows = (
            nn.ModuleList(
                output_conv(width, side, kernel_size=3, prior=True) for side in config.grids
            )
            for _ in range(2)
        )

    def forward(self, pyramid: Sequence[Tensor], levels: Levels) -> MaskMaps:
        """Levels -> two maps of logits [B, S, 2h, 2w] per level."""
        columns, rows = [], []
        for x_layer, y_layer, (features, spans) in zip(
            self.columns, self.rows, levels, strict=True
        ):
            hidden = [_doubled(tower(features, spans)) for tower in self.towers]
            columns.append(at_least_float32(x_layer(hidden[0])))  # [B, S, 2h, 2w]
            rows.append(at_least_float32(y_layer(hidden[-1])))  # [B, S, 2h, 2w]
        return DecoupledMaps(columns, rows)


class DynamicBranch(nn.Module):
    """SOLOv2's mask branch: a kernel for each cell, and the features that it convolves."""

    def __init__(self, config: SOLOConfig) -> None:
        super().__init__()
        self.grids = config.grids
        # The coordinates are resized to the grid together with the features (official code).
        self.tower = Tower(config.fpn_width + 2, config.tower_width, config.tower_layers)
        self.kernels = output_conv(config.tower_width, config.kernel_channels, 3, prior=False)
        self.features = MaskFeatures(config)

    def forward(self, pyramid: Sequence[Tensor], levels: Levels) -> MaskMaps:
        """Levels -> kernels [B, E, S, S] per level; pyramid -> features [B, E, h, w]."""
        kernels = []
        for side, (features, spans) in zip(self.grids, levels, strict=True):
            placed = with_coordinates(features, "xy", spans)  # [B, F + 2, h_l, w_l]
            cells = resize_to_grid(placed, side, spans)  # [B, F + 2, S, S]
            kernels.append(at_least_float32(self.kernels(self.tower(cells))))  # [B, E, S, S]
        spans = None if levels.spans is None else levels.spans[-1]
        shared = self.features(pyramid, spans)  # [B, E, h, w]
        return DynamicMaps(kernels, at_least_float32(shared), self.grids)


class MaskFeatures(nn.Module):
    """The unified mask features: P2…P5, each brought to the size of P2, and summed.

    P3 passes one convolution, P4 two and P5 three, each followed by an enlargement by 2. Only P5,
    the deepest, reads coordinates (SOLOv2, section 3.2.2).
    """

    def __init__(self, config: SOLOConfig) -> None:
        super().__init__()
        inputs, width = config.fpn_width, config.mask_width
        self.finest = NormedConv(inputs, width)
        self.coarser = nn.ModuleList(
            Enlarger(inputs, width, doublings, axes="xy" if doublings == 3 else None)
            for doublings in (1, 2, 3)
        )
        self.output = NormedConv(width, config.kernel_channels, kernel_size=1)

    def forward(self, pyramid: Sequence[Tensor], spans: Sizes | None) -> Tensor:
        """P2…P5 -> [B, E, h, w] at the size of P2; `spans` are those of the images on P5."""
        total = self.finest(pyramid[0])  # [B, width, h, w]
        for enlarger, features in zip(self.coarser, pyramid[1:4], strict=True):
            total = total + enlarger(features, spans)  # [B, width, h, w]
        output: Tensor = self.output(total)  # [B, E, h, w]
        return output


class Enlarger(nn.Module):
    """`doublings` convolutions, each followed by an enlargement by 2."""

    def __init__(self, in_channels: int, width: int, doublings: int, axes: Axes | None) -> None:
        super().__init__()
        first = NormedConv(in_channels, width, axes=axes)
        self.layers = nn.ModuleList(
            [first, *(NormedConv(width, width) for _ in range(doublings - 1))]
        )

    def forward(self, x: Tensor, spans: Sizes | None) -> Tensor:
        """[B, F, h, w] -> [B, width, h · 2^doublings, w · 2^doublings]."""
        for layer in self.layers:
            x = _doubled(layer(x, spans))  # [B, width, 2h, 2w]
        return x


def mask_branch(config: SOLOConfig) -> nn.Module:
    """The mask branch of a configuration's variant."""
    if config.variant == "solo":
        return LocationBranch(config)
    return DynamicBranch(config) if config.variant == "v2" else DecoupledBranch(config)


def _doubled(x: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, C, 2h, 2w], bilinear."""
    return interpolate(x, (2 * x.shape[-2], 2 * x.shape[-1]))
