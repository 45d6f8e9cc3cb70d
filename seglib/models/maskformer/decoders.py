"""The transformer modules, whose queries attend to the image and become segments.

MaskFormer's is DETR's decoder on c5. Mask2Former's attends to the levels of a pyramid in turn, from
coarse to fine and again, and each query only to the inside of its latest mask (masked attention),
so that it does not have to learn first what to ignore.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.models.maskformer.pixel_decoder import positions_everywhere, xavier_initialise
from seglib.nn.attention import MultiheadAttention
from seglib.nn.layers import Conv2d
from seglib.nn.position import SinePosition
from seglib.nn.transformer import Decoder, as_sequence
from seglib.ops.upsampling import interpolate

# Maps queries [B, Q, D] to their mask logits [B, Q, H, W].
MasksOf = Callable[[Tensor], Tensor]


class PlainDecoder(nn.Module):
    """MaskFormer's decoder: in every layer, every query attends to all of c5 or its encoding."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        queries: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_proj = _projection(in_channels, channels)
        self.position = SinePosition(channels)
        self.query_embed = nn.Embedding(queries, channels)
        self.decoder = Decoder(layers, channels, heads, hidden, dropout)
        xavier_initialise(self.decoder)

    def forward(self, features: Tensor, like: Tensor) -> Tensor:
        """c5 [B, C, h, w] -> queries after every layer [L, B, Q, D].

        Position embeddings have the dtype and device of `like`.
        """
        memory = as_sequence(self.input_proj(features))  # [B, h w, D]
        place = as_sequence(positions_everywhere(self.position, features, like))  # [B, h w, D]
        queries = self.query_embed.weight.expand(len(features), -1, -1)  # [B, Q, D]
        states: Tensor = self.decoder(torch.zeros_like(queries), memory, queries, place)
        return states  # [L, B, Q, D]


class MaskedDecoder(nn.Module):
    """Mask2Former's decoder (section 3.2): masked attention to the levels of a pyramid in turn.

    Args:
        in_channels: channels of the pyramid's levels.
        levels: number of levels that are used.
        channels: D.
        queries: Q; both their contents and their positions are learned.
        layers: number of layers; each attends to one level.
        heads: number of heads of every attention layer.
        hidden: channels between the two feed-forward layers.
        dropout: probability; 0 as published.
    """

    def __init__(
        self,
        in_channels: int,
        levels: int,
        channels: int,
        queries: int,
        layers: int,
        heads: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.input_proj = nn.ModuleList(_projection(in_channels, channels) for _ in range(levels))
        self.level_embed = nn.Embedding(levels, channels)
        self.position = SinePosition(channels)
        self.query_feat = nn.Embedding(queries, channels)
        self.query_embed = nn.Embedding(queries, channels)
        self.layers = nn.ModuleList(
            MaskedLayer(channels, heads, hidden, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(channels)
        xavier_initialise(self.layers)

    def forward(self, pyramid: Sequence[Tensor], like: Tensor, masks_of: MasksOf) -> Tensor:
        """Queries before and after every layer.

        Args:
            pyramid: [B, C, h_l, w_l], coarsest first.
            like: a tensor with the dtype and device of the position embeddings.
            masks_of: predicts the masks of queries.

        Returns:
            [1 + L, B, Q, D], after layer normalisation.
        """
        memories, places = [], []
        for level, features in enumerate(pyramid):
            projected = self.input_proj[level](features)  # [B, D, h, w]
            projected = projected + self.level_embed.weight[level, :, None, None]  # [B, D, h, w]
            memories.append(as_sequence(projected))  # [B, h w, D]
            places.append(
                as_sequence(positions_everywhere(self.position, features, like))
            )  # [B, h w, D]
        batch = len(pyramid[0])
        place_of_query = self.query_embed.weight.expand(batch, -1, -1)  # [B, Q, D]
        x = self.query_feat.weight.expand(batch, -1, -1)  # [B, Q, D]
        states = [self.norm(x)]
        for number, layer in enumerate(self.layers):
            level = number % len(pyramid)
            height, width = pyramid[level].shape[-2:]
            blocked = outside_masks(masks_of(states[-1]), (height, width))  # [B, Q, h w]
            x = layer(
                x, memories[level], place_of_query, places[level], blocked[:, None]
            )  # [B, Q, D]
            states.append(self.norm(x))
        return torch.stack(states)  # [1 + L, B, Q, D]


class MaskedLayer(nn.Module):
    """A decoder layer with cross-attention first, since the queries' contents are learned."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.cross_attn = MultiheadAttention(width, heads, dropout)
        self.self_attn = MultiheadAttention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, query_position: Tensor, position: Tensor, blocked: Tensor
    ) -> Tensor:
        """Refine the queries.

        Args:
            x: [B, Q, D], the queries.
            memory: [B, N, D], the features.
            query_position: [B, Q, D].
            position: [B, N, D].
            blocked: bool [B, 1, Q, N], True where a query does not attend to a feature.

        Returns:
            [B, Q, D].
        """
        read = self.cross_attn(
            x + query_position, memory + position, memory, blocked
        )  # [B, Q, D], like all lines below
        x = self.norm1(x + self.dropout(read))
        placed = x + query_position
        x = self.norm2(x + self.dropout(self.self_attn(placed, placed, x)))
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        output: Tensor = self.norm3(x + self.dropout(forward))
        return output


def outside_masks(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Which positions of a map lie outside the queries' masks and are blocked in attention.

    For a query whose mask is empty at this size nothing is blocked, as it would read nothing.

    Args:
        logits: [B, Q, H, W]; no gradient flows through them.
        size: (h, w) of the map.

    Returns:
        bool [B, Q, h w].
    """
    small = interpolate(logits.detach(), size, "bilinear").flatten(2)  # [B, Q, h w]
    blocked = small < 0  # a probability below one half
    return blocked & ~blocked.all(dim=-1, keepdim=True)


def _projection(in_channels: int, channels: int) -> nn.Module:
    """A 1x1 convolution; as published, the identity if the channels are equal."""
    return nn.Identity() if in_channels == channels else Conv2d(in_channels, channels, 1)
