"""Feature Pyramid Network (Lin et al., CVPR 2017): strong features at every scale.

    c5 --1x1--------------------> + --3x3--> p5 --pool /2--> p6
                                  | x2 nearest
    c4 --1x1--------------------> + --3x3--> p4
                                  | x2 nearest
    c3 --1x1--------------------> + --3x3--> p3
                                  | x2 nearest
    c2 --1x1--------------------> + --3x3--> p2

Deep maps have strong semantics, shallow maps precise locations. Each level of the pyramid adds the
upsampled map of the coarser level to its own (section 3); all have the same number of channels.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from seglib.nn.layers import Conv2d, MaxPool2d
from seglib.ops.upsampling import ResizeMode, interpolate


class FPN(nn.Module):
    """Turn a backbone's maps into a pyramid of maps with the same number of channels.

    Args:
        in_channels: channels of the backbone's maps, finest first (`ResNet.channels`).
        width: channels of every output level; 256 in the paper.
        pooled_level: add a coarser level, the deepest one subsampled by two (P6, for the largest
            anchors, section 4.1).
        upsampling: how the map of the coarser level is enlarged; bilinearly in YOLACT.

    Attributes:
        width, upsampling: as given.
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        width: int = 256,
        *,
        pooled_level: bool = True,
        upsampling: ResizeMode = "nearest",
    ) -> None:
        super().__init__()
        self.width, self.upsampling = width, upsampling
        self.lateral = nn.ModuleList(Conv2d(c, width, kernel_size=1) for c in in_channels)
        self.output = nn.ModuleList(
            Conv2d(width, width, kernel_size=3, padding=1) for _ in in_channels
        )
        # A pool with kernel 1 only keeps every second value.
        self.pool = MaxPool2d(kernel_size=1, stride=2) if pooled_level else None
        for conv in (*self.lateral, *self.output):
            nn.init.kaiming_uniform_(conv.weight, a=1)
            nn.init.zeros_(conv.bias)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Backbone maps [B, C_l, H_l, W_l] -> pyramid [B, width, H_l, W_l], both finest first.

        The maps may have any sizes: the coarser one is resized to the exact size of the finer one.
        With `pooled_level`, one more map [B, width, ceil(H/2), ceil(W/2)] follows the deepest.
        """
        laterals = [conv(c) for conv, c in zip(self.lateral, features, strict=True)]
        merged = laterals[-1]  # [B, width, H_l, W_l], like all maps below
        pyramid = [self.output[-1](merged)]  # 3x3 convolutions keep the shape
        for level in reversed(range(len(laterals) - 1)):
            size = (laterals[level].shape[-2], laterals[level].shape[-1])
            merged = laterals[level] + interpolate(merged, size, self.upsampling)
            pyramid.insert(0, self.output[level](merged))
        if self.pool is not None:
            pyramid.append(self.pool(pyramid[-1]))  # [B, width, ceil(H/2), ceil(W/2)]
        return tuple(pyramid)


def fpn_state_from_torchvision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the state dict of torchvision's FeaturePyramidNetwork for `FPN`.

    `inner_blocks.2.0.weight` becomes `lateral.2.weight`, `layer_blocks.…` becomes `output.…`.
    """
    names = {"inner_blocks": "lateral", "layer_blocks": "output"}
    pattern = re.compile(r"(inner_blocks|layer_blocks)\.(\d+)\.(?:0\.)?(weight|bias)")
    return {
        pattern.sub(lambda m: f"{names[m[1]]}.{m[2]}.{m[3]}", key): value
        for key, value in state.items()
    }
