"""The attention weights of a DETR for one image.

The model does not keep them, since the fast attention never computes them explicitly. For one pass,
`ops.attention` is replaced by an implementation that does.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from seglib.models.detr.model import DETR, DETROutput
from seglib.primitives import use


@dataclass(eq=False)
class AttentionMaps:
    """The weights of every layer, which sum to 1 over the positions or queries attended to.

    The features have h w positions in the image; those in the padding are left out.

    Attributes:
        encoder: [L, heads, h, w, h, w], from each position to all positions.
        among_queries: [L, heads, Q, Q], from each query to all queries.
        decoder: [L, heads, Q, h, w], from each query to all positions.
    """

    encoder: Tensor
    among_queries: Tensor
    decoder: Tensor


def attention_maps(model: DETR, image: Tensor) -> tuple[DETROutput, AttentionMaps]:
    """The outputs for one image, float [3, H, W] in 0…1, and the attention weights behind them."""
    recorded: list[Tensor] = []

    def recording(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        blocked: Tensor | None = None,
        dropout: float = 0.0,
    ) -> Tensor:
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        if blocked is not None:  # the padding to a square canvas
            scores = scores.masked_fill(blocked, -math.inf)
        weights = scores.softmax(dim=-1)
        recorded.append(weights[0])
        return weights @ value

    with torch.no_grad(), use(attention=recording):
        output = model([image])
    config, size = model.config, output.memory.shape[-2:]
    inside = ~output.padding[0]  # [h, w]
    rows, columns = inside.any(dim=1).sum(), inside.any(dim=0).sum()  # the rest has no weight
    encoder = recorded[: config.encoder_layers]  # [heads, h w, h w] each
    # Each decoder layer attends twice: the queries to one another, then to the image.
    among, decoder = recorded[config.encoder_layers :: 2], recorded[config.encoder_layers + 1 :: 2]
    places = config.heads, *size, *size
    within = (
        torch.stack(encoder).unflatten(-1, size).unflatten(2, size)
        if encoder
        else output.memory.new_zeros(0, *places)
    )  # [L, heads, h, w, h, w]
    maps = AttentionMaps(
        within[:, :, :rows, :columns, :rows, :columns],
        torch.stack(among),  # [L, heads, Q, Q]
        torch.stack(decoder).unflatten(-1, size)[..., :rows, :columns],
    )
    return output, maps
