"""Position embeddings: attention treats its keys as a set, so they must contain their positions."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# Keeps the division finite for an image of which only padding remains.
EPSILON = 1e-6


class SinePosition(nn.Module):
    """Sines and cosines of many wavelengths along y and x (DETR, appendix A.4).

    The first half of the channels encodes y and the second x. In each half, sine and cosine
    alternate, with wavelengths that grow from 2π to 2π x temperature. There are no weights.

    Args:
        width: number of channels, a multiple of 4.
        temperature: ratio of the longest wavelength to the shortest.
        normalize: coordinates run from 0 to 2π over the image without its padding, whatever its
            size; otherwise they count cells.
    """

    def __init__(self, width: int, temperature: float = 10000.0, *, normalize: bool = True) -> None:
        super().__init__()
        self.width, self.temperature, self.normalize = width, temperature, normalize

    def forward(self, padding: Tensor, like: Tensor) -> Tensor:
        """bool [B, H, W], True in the padding -> [B, width, H, W] with the dtype of `like`."""
        inside = (~padding).to(like.dtype)
        # The first cell of the image has coordinate 1; padding repeats the last one.
        coordinates = [inside.cumsum(1), inside.cumsum(2)]  # y and x, [B, H, W] each
        if self.normalize:
            y, x = coordinates
            coordinates = [y / (y[:, -1:] + EPSILON), x / (x[:, :, -1:] + EPSILON)]
            coordinates = [2 * math.pi * c for c in coordinates]
        half = self.width // 2
        pair = torch.arange(half, device=like.device) // 2  # 0 0 1 1 2 2 …: sine and cosine
        wavelength = self.temperature ** (2 * pair.to(like.dtype) / half)  # [width / 2]
        parts = []
        for coordinate in coordinates:
            angle = coordinate[..., None] / wavelength  # [B, H, W, width / 2]
            pairs = [angle[..., 0::2].sin(), angle[..., 1::2].cos()]  # [B, H, W, width / 4] each
            waves = torch.stack(pairs, dim=-1)  # [B, H, W, width / 4, 2]
            parts.append(waves.flatten(-2))  # [B, H, W, width / 2]
        return torch.cat(parts, dim=-1).permute(0, 3, 1, 2)  # [B, width, H, W]


class LearnedPosition(nn.Module):
    """A learned vector per column and one per row, concatenated (DETR's alternative, table 3).

    Args:
        width: number of channels, which is even.
        cells: largest number of columns and of rows.
    """

    def __init__(self, width: int, cells: int = 50) -> None:
        super().__init__()
        self.row_embed, self.col_embed = (
            nn.Embedding(cells, width // 2),
            nn.Embedding(cells, width // 2),
        )
        nn.init.uniform_(self.row_embed.weight)
        nn.init.uniform_(self.col_embed.weight)

    def forward(self, padding: Tensor, like: Tensor) -> Tensor:
        """bool [B, H, W] -> [B, width, H, W]: first the column's vector, then the row's."""
        batch, height, width = padding.shape
        x = self.col_embed.weight[:width].T[:, None, :].expand(-1, height, -1)  # [width/2, H, W]
        y = self.row_embed.weight[:height].T[:, :, None].expand(-1, -1, width)  # [width/2, H, W]
        both = torch.cat([x, y])[None]  # [1, width, H, W]
        return both.expand(batch, -1, -1, -1).to(like.dtype)  # [B, width, H, W]
