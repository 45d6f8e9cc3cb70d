"""DETR's mask head (section 4.4): where a query looked becomes a mask.

    queries [B, Q, D]   --attention maps-->   [B, Q, heads, h, w]      where each query looks
    encoded [B, D, h, w] beside them          [B Q, D + heads, h, w]   what is there
      3x3 convolutions, upsampled and joined with c4, c3, c2 as in an FPN
    masks [B, Q, H, W] at the resolution of c2

The released weights were trained with one softmax over all heads and places together (issue 247
of the authors' repository calls it a bug), so that the maps of all heads sum to 1 and not those of
each; `softmax="joint"` reproduces it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.nn.layers import Conv2d
from seglib.ops.upsampling import interpolate

GROUPS = 8  # of the group normalisation in the authors' code; narrower layers have fewer


class AttentionMap(nn.Module):
    """Where each query looks in the encoded image, for several heads; nothing is read there.

    Args:
        channels: D.
        heads: divides D.
        softmax: "per_head" over the places, or "joint" over heads and places.
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

    def forward(self, queries: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
        """[B, Q, D], [B, D, H, W] and bool [B, H, W] -> [B, Q, heads, H, W], not negative."""
        height, width = memory.shape[-2:]
        q = self.q_linear(queries).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k = self.k_linear(memory.flatten(2).transpose(1, 2)).unflatten(-1, (self.heads, -1))
        q = q / math.sqrt(q.shape[-1])  # [B, heads, Q, D / heads]
        scores = q @ k.permute(0, 2, 3, 1)  # [B, heads, Q, H W]
        scores = scores.masked_fill(padding.flatten(1)[:, None, None], -math.inf).transpose(1, 2)
        if self.softmax == "joint":
            weights = scores.flatten(2).softmax(-1).unflatten(-1, (self.heads, -1))
        else:
            weights = scores.softmax(-1)  # [B, Q, heads, H W]
        return weights.unflatten(-1, (height, width))  # [B, Q, heads, H, W]


class MaskHead(nn.Module):
    """Attention maps and features to mask logits, query by query.

    Args:
        channels: of the features and attention maps together.
        context: channels that the layers halve, one after another.
        pyramid: channels of c4, c3, c2.
    """

    def __init__(self, channels: int, context: int, pyramid: Sequence[int]) -> None:
        super().__init__()
        widths = [channels, *(context // 2**power for power in range(1, 5))]
        inputs = [channels, *widths[:-1]]
        for number, (before, after) in enumerate(zip(inputs, widths, strict=True), start=1):
            setattr(self, f"lay{number}", Conv2d(before, after, 3, padding=1))
            setattr(self, f"gn{number}", nn.GroupNorm(math.gcd(GROUPS, after), after))
        for number, (c, width) in enumerate(zip(pyramid, widths[1:4], strict=True), start=1):
            setattr(self, f"adapter{number}", Conv2d(c, width, 1))
        self.out_lay = Conv2d(widths[-1], 1, 3, padding=1)
        for module in self.modules():
            if isinstance(module, Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]

    def forward(self, features: Tensor, maps: Tensor, pyramid: Sequence[Tensor]) -> Tensor:
        """Mask logits of every query.

        Args:
            features: [B, D, h, w].
            maps: [B, Q, heads, h, w].
            pyramid: c4, c3, c2, [B, C_l, H_l, W_l] each.

        Returns:
            [B, Q, H, W], the size of c2.
        """
        batch, queries = maps.shape[:2]
        shared = features[:, None].expand(-1, queries, -1, -1, -1)  # [B, Q, D, h, w]
        x = torch.cat([shared, maps], dim=2).flatten(0, 1)  # [B Q, D + heads, h, w]
        x = self._layer(1, x)
        x = self._layer(2, x)  # [B Q, context / 2, h, w]
        for level, finer in enumerate(pyramid, start=1):
            added = self.get_submodule(f"adapter{level}")(finer)  # [B, C, H_l, W_l]
            size = (added.shape[-2], added.shape[-1])
            x = interpolate(x, size, "nearest").unflatten(0, (batch, queries))
            x = (x + added[:, None]).flatten(0, 1)  # [B Q, C, H_l, W_l]
            x = self._layer(level + 2, x)  # [B Q, C / 2, H_l, W_l]
        logits: Tensor = self.out_lay(x)  # [B Q, 1, H, W]
        return logits[:, 0].unflatten(0, (batch, queries))  # [B, Q, H, W]

    def _layer(self, number: int, x: Tensor) -> Tensor:
        """Convolution, group normalisation and ReLU."""
        convolved = self.get_submodule(f"lay{number}")(x)
        normalised: Tensor = self.get_submodule(f"gn{number}")(convolved)
        return F.relu(normalised)
