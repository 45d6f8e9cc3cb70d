"""The encoder and decoder layers of the Transformer, as DETR uses them (Carion et al. 2020).

    encoder layer                            decoder layer
    features [B, N, D]                       queries [B, Q, D]
      self-attention over all N                self-attention among the queries
      feed-forward, each position alone        cross-attention to the image
                                               feed-forward, each query alone

Each step adds to its input and then normalises ("post-norm"). Positions are added to queries and
keys in every layer, but not to values: they influence the weights only (appendix A.3).
State-dict names are those of torch.nn's Transformer layers.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib.nn.attention import MultiheadAttention


class EncoderLayer(nn.Module):
    """One layer of the encoder.

    Args:
        width: D, the number of channels.
        heads: number of heads of the attention.
        hidden: channels between the two feed-forward layers.
        dropout: probability of dropout after attention and feed-forward layers, and of attention
            weights.
    """

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.dropout, self.dropout1, self.dropout2 = (nn.Dropout(dropout) for _ in range(3))

    def forward(
        self, x: Tensor, position: Tensor | None = None, blocked: Tensor | None = None
    ) -> Tensor:
        """Features and positions [B, N, D] -> [B, N, D]; `blocked` as from `blocked_keys`."""
        placed = _add(x, position)
        x = self.norm1(x + self.dropout1(self.self_attn(placed, placed, x, blocked)))
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        output: Tensor = self.norm2(x + self.dropout2(forward))
        return output


class DecoderLayer(nn.Module):
    """One layer of the decoder; arguments as for `EncoderLayer`."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.self_attn = MultiheadAttention(width, heads, dropout)
        self.multihead_attn = MultiheadAttention(width, heads, dropout)
        self.linear1, self.linear2 = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(width) for _ in range(3))
        self.dropout, self.dropout1, self.dropout2, self.dropout3 = (
            nn.Dropout(dropout) for _ in range(4)
        )

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        query_position: Tensor | None = None,
        position: Tensor | None = None,
        blocked: Tensor | None = None,
    ) -> Tensor:
        """Queries [B, Q, D] read memory [B, N, D] -> [B, Q, D].

        `query_position` belongs to the queries and `position` to the memory; `blocked` marks the
        parts of the memory that may not be read.
        """
        placed = _add(x, query_position)
        x = self.norm1(x + self.dropout1(self.self_attn(placed, placed, x)))
        read = self.multihead_attn(_add(x, query_position), _add(memory, position), memory, blocked)
        x = self.norm2(x + self.dropout2(read))
        forward = self.linear2(self.dropout(F.relu(self.linear1(x))))
        output: Tensor = self.norm3(x + self.dropout3(forward))
        return output


class Encoder(nn.Module):
    """Encoder layers one after another; arguments as for `EncoderLayer`."""

    def __init__(
        self, layers: int, width: int, heads: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            EncoderLayer(width, heads, hidden, dropout) for _ in range(layers)
        )

    def forward(
        self, x: Tensor, position: Tensor | None = None, blocked: Tensor | None = None
    ) -> Tensor:
        """[B, N, D] -> [B, N, D]."""
        for layer in self.layers:
            x = layer(x, position, blocked)
        return x


class Decoder(nn.Module):
    """Decoder layers one after another, and one normalisation for the outputs of all layers."""

    def __init__(
        self, layers: int, width: int, heads: int, hidden: int, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            DecoderLayer(width, heads, hidden, dropout) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(
        self,
        x: Tensor,
        memory: Tensor,
        query_position: Tensor | None = None,
        position: Tensor | None = None,
        blocked: Tensor | None = None,
    ) -> Tensor:
        """The outputs of all layers, [L, B, Q, D]; arguments as for `DecoderLayer.forward`."""
        outputs = []
        for layer in self.layers:
            x = layer(x, memory, query_position, position, blocked)
            outputs.append(self.norm(x))
        return torch.stack(outputs)  # [L, B, Q, D]


class Transformer(nn.Module):
    """Encoder and decoder between a feature map and object queries.

    All weight matrices are initialised Xavier-uniform, as in DETR.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        hidden: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.encoder = Encoder(encoder_layers, width, heads, hidden, dropout)
        self.decoder = Decoder(decoder_layers, width, heads, hidden, dropout)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(
        self, features: Tensor, position: Tensor, queries: Tensor, padding: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Encode a map, and let the queries attend to it.

        Args:
            features: [B, D, H, W].
            position: [B, D, H, W].
            queries: [Q, D], the learned positions of the queries, whose contents start at zero.
            padding: bool [B, H, W], True in the padding; None without padding.

        Returns:
            the queries after every decoder layer [L, B, Q, D], and the encoded map [B, D, H, W].
        """
        size = features.shape[-2:]
        blocked = None if padding is None else blocked_keys(padding)
        x, place = as_sequence(features), as_sequence(position)  # [B, H W, D] each
        memory = self.encoder(x, place, blocked)  # [B, H W, D]
        query_position = queries.expand(len(x), -1, -1)  # [B, Q, D]
        contents = torch.zeros_like(query_position)
        states = self.decoder(contents, memory, query_position, place, blocked)  # [L, B, Q, D]
        return states, memory.transpose(1, 2).unflatten(2, size)  # second: [B, D, H, W]


def as_sequence(features: Tensor) -> Tensor:
    """[B, D, H, W] -> [B, H W, D], row by row."""
    return features.flatten(2).transpose(1, 2)


def blocked_keys(padding: Tensor) -> Tensor:
    """bool [B, H, W], True in the padding -> [B, 1, 1, H W], which all heads and queries share."""
    return padding.flatten(1)[:, None, None]


def _add(x: Tensor, position: Tensor | None) -> Tensor:
    return x if position is None else x + position
