"""Attention: every query reads a mixture of values, weighted by how well their keys fit it.

    query [Q, d] . key [K, d]  ->  scores [Q, K]  --softmax over keys-->  weights [Q, K]
    weights [Q, K] @ value [K, v]  ->  output [Q, v]

A dictionary returns the value whose key equals the query. Attention returns a mean of all values,
in which values with similar keys weigh most (Vaswani et al. 2017, section 3.2).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError
from seglib.ops.precision import is_slow_bfloat16, without_autocast
from seglib.primitives import primitive


def _naive_attention(
    query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """One query at a time, one key at a time."""
    _check(query, key, value)
    lead = query.shape[:-2]
    if blocked is not None:
        blocked = blocked.expand(*lead, query.shape[-2], key.shape[-2]).flatten(0, -3)
    outputs = []
    groups = zip(query.flatten(0, -3), key.flatten(0, -3), value.flatten(0, -3), strict=True)
    for group, (queries, keys, values) in enumerate(groups):
        for row, q in enumerate(queries):
            scores = torch.stack([(q * k).sum() / math.sqrt(len(q)) for k in keys])  # [K]
            if blocked is not None:
                scores = scores.masked_fill(blocked[group, row], -math.inf)
            shares = (scores - scores.max().detach()).exp()
            weights = F.dropout(shares / shares.sum(), dropout)
            outputs.append(sum(w * v for w, v in zip(weights, values, strict=True)))
    return torch.stack(outputs).reshape(*lead, query.shape[-2], value.shape[-1])


def _scratch_attention(
    query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """All queries at once."""
    _check(query, key, value)
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])  # [..., Q, K]
    if blocked is not None:
        scores = scores.masked_fill(blocked, -math.inf)
    weights = F.dropout(scores.softmax(dim=-1), dropout)
    return weights @ value  # [..., Q, v]


@primitive(naive=_naive_attention, scratch=_scratch_attention)
def attention(
    query: Tensor, key: Tensor, value: Tensor, blocked: Tensor | None = None, dropout: float = 0.0
) -> Tensor:
    """softmax(query keyᵀ / √d) value, the scaled dot-product attention.

    Dot products of random vectors grow with √d; without the division, the softmax of long vectors
    would choose one key and have hardly any gradient (section 3.2.1).

    Args:
        query: [..., Q, d], with one or more leading dimensions.
        key: [..., K, d], with the same leading dimensions.
        value: [..., K, v].
        blocked: bool, broadcast to [..., Q, K]: True where a query may not read a key. At least
            one key must remain for each query.
        dropout: probability with which each weight is set to 0 and the others are scaled up.

    Returns:
        [..., Q, v].

    Raises:
        SeglibError: shapes that do not fit together.
    """
    _check(query, key, value)
    allowed = None if blocked is None else ~blocked
    if is_slow_bfloat16(query):
        with without_autocast(query):
            exact = (query.float(), key.float(), value.float())
            return F.scaled_dot_product_attention(*exact, allowed, dropout).to(query.dtype)
    return F.scaled_dot_product_attention(query, key, value, allowed, dropout)


def _naive_multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    in_weight: Tensor,
    in_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    heads: int,
    blocked: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """One head at a time; each uses its own slice of the projected queries, keys and values."""
    _check_heads(query, heads)
    (wq, wk, wv), (bq, bk, bv) = in_weight.chunk(3), in_bias.chunk(3)
    if blocked is not None:
        blocked = blocked.expand(len(query), heads, query.shape[1], key.shape[1])
    outputs = []
    size = query.shape[-1] // heads
    for head in range(heads):
        head_rows = slice(head * size, (head + 1) * size)
        q = query @ wq[head_rows].T + bq[head_rows]  # [B, Q, D / heads]
        k = key @ wk[head_rows].T + bk[head_rows]  # [B, K, D / heads]
        v = value @ wv[head_rows].T + bv[head_rows]  # [B, K, D / heads]
        outputs.append(attention(q, k, v, None if blocked is None else blocked[:, head], dropout))
    return torch.cat(outputs, dim=-1) @ out_weight.T + out_bias  # [B, Q, D]


@primitive(naive=_naive_multi_head_attention)
def multi_head_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    in_weight: Tensor,
    in_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    heads: int,
    blocked: Tensor | None = None,
    dropout: float = 0.0,
) -> Tensor:
    """Several attentions side by side, each on its own projection (Vaswani et al., section 3.2.2).

    One head forms one mixture per query. With several, a query reads different places for
    different reasons.

    Args:
        query: [B, Q, D].
        key: [B, K, D].
        value: [B, K, D].
        in_weight: [3 D, D], the projections of queries, keys and values, in this order.
        in_bias: [3 D].
        out_weight: [D, D], which mixes the heads' outputs.
        out_bias: [D].
        heads: number of heads, which divides D.
        blocked: bool, broadcast to [B, heads, Q, K]; see `attention`.
        dropout: probability of dropout of the attention weights.

    Returns:
        [B, Q, D].

    Raises:
        SeglibError: D is not a multiple of `heads`.
    """
    _check_heads(query, heads)
    weights, biases = in_weight.chunk(3), in_bias.chunk(3)
    q, k, v = (
        F.linear(x, weight, bias).unflatten(-1, (heads, -1)).transpose(1, 2)  # [B, heads, N, D/h]
        for x, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )
    mixed = attention(q, k, v, blocked, dropout)  # [B, heads, Q, D / heads]
    return F.linear(mixed.transpose(1, 2).flatten(2), out_weight, out_bias)  # [B, Q, D]


def _check(query: Tensor, key: Tensor, value: Tensor) -> None:
    if (
        query.ndim < 3
        or query.shape[:-2] != key.shape[:-2]
        or query.shape[-1] != key.shape[-1]
        or key.shape[:-1] != value.shape[:-1]
    ):
        raise SeglibError(
            f"attention: query {list(query.shape)} = [..., Q, d], key {list(key.shape)} = "
            f"[..., K, d] and value {list(value.shape)} = [..., K, v] do not fit together"
        )


def _check_heads(query: Tensor, heads: int) -> None:
    if query.shape[-1] % heads:
        raise SeglibError(
            f"multi_head_attention: {heads} heads cannot share {query.shape[-1]} channels equally"
        )
