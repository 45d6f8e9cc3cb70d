"""Where bfloat16 autocast must not be used: geometry, sums of logits, losses."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def at_least_float32(x: Tensor) -> Tensor:
    """Convert a tensor to float32 unless it is float64.

    bfloat16 has 8 significant bits: enough for features, too few for box corners or sums of logits.
    """
    return x.to(torch.promote_types(x.dtype, torch.float32))


def without_autocast(like: Tensor) -> AbstractContextManager[object]:
    """A block whose matrix products keep the type of their arguments, on the device of `like`.

    Under autocast a product of float32 matrices would be rounded to bfloat16.
    """
    return torch.autocast(like.device.type, enabled=False)


def is_slow_bfloat16(x: Tensor) -> bool:
    """Whether x is bfloat16 on a processor, where torch's attention and group norm are slow.

    Their kernels take 2 to 4 times as long as those for float32, conversions included.
    """
    return x.device.type == "cpu" and x.dtype == torch.bfloat16
