"""DETR's mask head (section 4.4): it turns the attention of each query into a mask.

    N queries of B images [N, D]  --attention maps-->  [N, heads, h, w]
      concatenated with features [B, D, h, w]          [N, D + heads, h, w]
      3x3 convolutions, upsampled and added to c4, c3, c2 as in an FPN
    masks [N, H, W] at the resolution of c2

The released weights were trained with one softmax over all heads and positions together (issue 247
of the authors' repository calls it a bug), so that the maps of all heads together sum to 1 instead
of each map; `softmax="joint"` reproduces it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.nn.layers import Conv2d, GroupNorm
from seglib.ops.upsampling import interpolate

GROUPS = 8  # groups of the group normalisation in the authors' code; narrower layers have fewer


class AttentionMap(nn.Module):
    """The attention weights of each query over the encoded image; no values are read.

    Args:
        channels: D.
        heads: number of heads, which divides D.
        softmax: "per_head" over the positions, or "joint" over heads and positions.
    """

    def __init__(
        self, channels: int, heads: int, softmax: Literal["per_head", "joint"] = "per_head"
    ) -> None:
        super().__init__()
        self.heads, self.softmax = heads, softmax
        self.q_linear, self.k_linear = nn.Linear(channels, channels), nn.Linear(channels, channels)
        for layer in (self.q_linear, self.k_linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, queries: Tensor, image: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """Attention weights in 0…1.

        Args:
            queries: [N, D].
            image: int64 [N], the image of each query.
            memory: [B, D, h, w].
            padding: bool [B, h, w], True in the padding, whose weights are 0.

        Returns:
            [N, heads, h, w].
        """
        q = self.q_linear(queries).unflatten(-1, (self.heads, -1))  # [N, heads, D / heads]
        k = self.k_linear(memory.flatten(2).transpose(1, 2))  # [B, h w, D]
        k = k.unflatten(-1, (self.heads, -1)).transpose(1, 2)  # [B, heads, h w, D / heads]
        q = q / math.sqrt(q.shape[-1])
        scores = (k[image] @ q[..., None])[..., 0]  # [N, heads, h w]
        hidden = padding.flatten(1)[image][:, None]  # [N, 1, h w]
        scores = scores.masked_fill(hidden, -math.inf)
        if self.softmax == "joint":
            weights = scores.flatten(1).softmax(-1).view_as(scores)  # [N, heads, h w]
        else:
            weights = scores.softmax(-1)  # [N, heads, h w]
        return weights.unflatten(-1, memory.shape[-2:])  # [N, heads, h, w]


class MaskHead(nn.Module):
    """Turn attention maps and features into mask logits, for each query separately.

    Args:
        channels: channels of the features and attention maps together.
        context: number of channels that the layers halve one after another.
        pyramid: channels of c4, c3, c2.
    """

    def __init__(self, channels: int, context: int, pyramid: Sequence[int]) -> None:
        super().__init__()
        widths = [channels, *(context // 2**power for power in range(1, 5))]
        inputs = [channels, *widths[:-1]]
        for number, (before, after) in enumerate(zip(inputs, widths, strict=True), start=1):
            setattr(self, f"lay{number}", Conv2d(before, after, 3, padding=1))
            setattr(self, f"gn{number}", GroupNorm(math.gcd(GROUPS, after), after))
        for number, (c, width) in enumerate(zip(pyramid, widths[1:4], strict=True), start=1):
            setattr(self, f"adapter{number}", Conv2d(c, width, 1))
        self.out_lay = Conv2d(widths[-1], 1, 3, padding=1)
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(
        self, features: Tensor, maps: Tensor, image: Tensor, pyramid: Sequence[Tensor]
    ) -> Tensor:
        """Mask logits of every query.

        Args:
            features: [B, D, h, w].
            maps: [N, heads, h, w], attention weights of each query.
            image: int64 [N], the image of each query.
            pyramid: c4, c3, c2, [B, C_l, H_l, W_l] each.

        Returns:
            [N, H, W] at the size of c2.
        """
        x = torch.cat([features[image], maps], dim=1)  # [N, D + heads, h, w]
        x = self._layer(1, x)  # [N, D + heads, h, w]
        x = self._layer(2, x)  # [N, context / 2, h, w]
        for level, finer in enumerate(pyramid, start=1):
            added = self.get_submodule(f"adapter{level}")(finer)  # [B, C, H_l, W_l]
            size = (added.shape[-2], added.shape[-1])
            x = interpolate(x, size, "nearest") + added[image]  # [N, C, H_l, W_l]
            x = self._layer(level + 2, x)  # [N, C / 2, H_l, W_l]
        logits: Tensor = self.out_lay(x)[:, 0]  # [N, H, W]
        return logits

    def _layer(self, number: int, x: Tensor) -> Tensor:
        """Convolution, group normalisation and ReLU."""
        convolved = self.get_submodule(f"lay{number}")(x)
        normalised: Tensor = self.get_submodule(f"gn{number}")(convolved)
        return F.relu(normalised)
