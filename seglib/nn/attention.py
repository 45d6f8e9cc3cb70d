"""Multi-head attention as a layer, with torch.nn's names."""

from __future__ import annotations

from torch import Tensor, nn

from seglib import ops


class MultiheadAttention(nn.Module):
    """`ops.multi_head_attention` with its weights; loads `torch.nn.MultiheadAttention`'s state.

    Args:
        width: D, channels of queries, keys, values and output.
        heads: number of heads, which divides D.
        dropout: probability of dropout of the attention weights in training.
    """

    def __init__(self, width: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        stacked = nn.Linear(width, 3 * width)
        self.in_proj_weight, self.in_proj_bias = stacked.weight, stacked.bias
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.in_proj_bias)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None = None
    ) -> Tensor:
        """[B, Q, D], [B, K, D], [B, K, D] -> [B, Q, D]; `blocked` as for the primitive."""
        return ops.multi_head_attention(
            query,
            key,
            value,
            self.in_proj_weight,
            self.in_proj_bias,
            self.out_proj.weight,
            self.out_proj.bias,
            self.heads,
            blocked,
            self.dropout if self.training else 0.0,
        )

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"heads={self.heads}, dropout={self.dropout}"
