"""Attention to a few points instead of all positions (Deformable DETR, Zhu et al. 2021).

Full attention compares each of N positions with all N. Here each position predicts, from its own
content, a few sampling points (offsets from itself, in each of several maps) and their weights. The
cost grows with N instead of N², so that the fine maps of a pyramid can be used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.ops.precision import at_least_float32, without_autocast
from seglib.structures import Size


def read_at_points(maps: Sequence[Tensor], points: Tensor, weights: Tensor) -> Tensor:
    """The weighted sum of bilinear samples at each query's points; zero outside a map.

    Args:
        maps: [B, heads, d, H_l, W_l] for each of L levels.
        points: [B, Q, heads, L, P, 2], x and y in 0…1 of the maps' size.
        weights: [B, Q, heads, L, P].

    Returns:
        [B, Q, heads d].
    """
    found = []
    for level, values in enumerate(maps):
        grid = 2 * points[:, :, :, level].transpose(1, 2).flatten(0, 1) - 1  # [B heads, Q, P, 2]
        read = F.grid_sample(values.flatten(0, 1), grid, align_corners=False)
        found.append(read)  # [B heads, d, Q, P]
    values = torch.cat(found, dim=-1)  # [B heads, d, Q, L P]
    shares = weights.flatten(-2).transpose(1, 2).flatten(0, 1)  # [B heads, Q, L P]
    mixed = (values * shares[:, None]).sum(dim=-1)  # [B heads, d, Q]
    return mixed.unflatten(0, (len(points), -1)).flatten(1, 2).transpose(1, 2)  # [B, Q, heads d]


class DeformableAttention(nn.Module):
    """Each position of a pyramid samples P points in each of its levels, for several heads.

    Args:
        width: D, the number of channels.
        heads: number of heads, which divides D.
        levels: L, the number of levels.
        points: P, the number of points per head and level.
    """

    def __init__(self, width: int, heads: int, levels: int, points: int) -> None:
        super().__init__()
        self.heads, self.levels, self.points = heads, levels, points
        self.sampling_offsets = nn.Linear(width, heads * levels * points * 2)
        self.attention_weights = nn.Linear(width, heads * levels * points)
        self.value_proj, self.output_proj = nn.Linear(width, width), nn.Linear(width, width)
        self._initialise()

    def _initialise(self) -> None:
        """Give each head a direction, put point p at a distance of p cells, weight all alike."""
        angle = torch.arange(self.heads) * (2 * math.pi / self.heads)
        direction = torch.stack([angle.cos(), angle.sin()], dim=-1)  # [heads, 2]
        direction = direction / direction.abs().amax(dim=-1, keepdim=True)
        steps = torch.arange(1, self.points + 1)
        offsets = direction[:, None, None] * steps[:, None]  # [heads, 1, P, 2]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(offsets.expand(-1, self.levels, -1, -1).flatten())
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for zeroed in (self.sampling_offsets.weight, *self.attention_weights.parameters()):
            nn.init.zeros_(zeroed)

    def forward(self, x: Tensor, position: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
        """Attend from every position of the pyramid to sampled points of all levels.

        Args:
            x: [B, N, D], the levels one after another, row by row.
            position: [B, N, D], added to x before offsets and weights are predicted.
            places: [N, 2], x and y of each position in 0…1 of its map's size.
            sizes: (H_l, W_l) of the levels; N is the sum of their areas.

        Returns:
            [B, N, D].
        """
        placed, shape = x + position, (self.heads, self.levels, self.points)
        cells = x.new_tensor([(width, height) for height, width in sizes])  # [L, 2]
        offsets = self.sampling_offsets(placed).unflatten(-1, (*shape, 2))  # [B, N, heads, L, P, 2]
        points = places[:, None, None, None] + offsets / cells[:, None]  # [B, N, heads, L, P, 2]
        scores = self.attention_weights(placed).unflatten(-1, (self.heads, -1))  # [B, N, heads, LP]
        weights = scores.softmax(dim=-1).unflatten(-1, shape[1:])  # [B, N, heads, L, P]
        values = self.value_proj(x).transpose(1, 2)  # [B, D, N]
        values = values.unflatten(1, (self.heads, -1))  # [B, heads, D / heads, N]
        lengths = [height * width for height, width in sizes]
        maps = [
            part.unflatten(-1, size)  # [B, heads, D / heads, H_l, W_l]
            for part, size in zip(values.split(lengths, dim=-1), sizes, strict=True)
        ]
        output: Tensor = self.output_proj(read_at_points(maps, points, weights))
        return output


class DeformableLayer(nn.Module):
    """Deformable self-attention and a feed-forward network, each with residual sum and norm."""

    def __init__(
        self, width: int, heads: int, hidden: int, levels: int, points: int, dropout: float
    ) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(width, heads, levels, points)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, places: Tensor, sizes: Sequence[Size]) -> Tensor:
        """[B, N, D] -> [B, N, D]; arguments as for `DeformableAttention`."""
        x = self.norm1(x + self.dropout(self.self_attn(x, position, places, sizes)))
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        output: Tensor = self.norm2(x + self.dropout(forward))
        return output


class DeformableEncoder(nn.Module):
    """Several layers one after another; arguments as for `DeformableLayer`."""

    def __init__(
        self,
        layers: int,
        width: int,
        heads: int,
        hidden: int,
        levels: int,
        points: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DeformableLayer(width, heads, hidden, levels, points, dropout) for _ in range(layers)
        )

    def forward(self, x: Tensor, position: Tensor, sizes: Sequence[Size]) -> Tensor:
        """[B, N, D] -> [B, N, D], for the N positions of levels with these (H_l, W_l)."""
        # As published, not in bfloat16: rounding would shift points by whole cells of large maps.
        with without_autocast(x):
            x, position = at_least_float32(x), at_least_float32(position)
            places = torch.cat([cell_centres(size, x) for size in sizes])  # [N, 2]
            for layer in self.layers:
                x = layer(x, position, places, sizes)
        return x


def cell_centres(size: Size, like: Tensor) -> Tensor:
    """x and y of all cell centres, in 0…1 of a map's size (H, W), row by row: [H W, 2]."""
    height, width = size
    y = (torch.arange(height, device=like.device, dtype=like.dtype) + 0.5) / height
    x = (torch.arange(width, device=like.device, dtype=like.dtype) + 0.5) / width
    return torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], dim=-1).flatten(0, 1)
