"""Where bfloat16 autocast must stop: geometry, sums of logits, losses."""

from __future__ import annotations

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """The same numbers in float32, or in float64 if that is what they are.

    bfloat16 has 8 significant bits: enough for features, too few for box corners or sums of logits.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))
