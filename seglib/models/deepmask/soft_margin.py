"""The logistic loss for answers of plus or minus one."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def soft_margin(logits: Tensor, signs: Tensor) -> Tensor:
    """log(1 + exp(-y z)), place by place: near 0 for a sure, right answer, else about |z|.

    Cross-entropy of a sigmoid by another name: DeepMask writes its labels y as ±1 instead of
    0 and 1 (Pinheiro et al. 2015, section 3.2).

    Args:
        logits: z, any shape.
        signs: y, -1 or 1, the same shape.
    """
    return F.softplus(-signs * logits)
