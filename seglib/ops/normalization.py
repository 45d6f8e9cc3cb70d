"""Batch normalisation (Ioffe & Szegedy 2015)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from seglib.errors import SeglibError
from seglib.primitives import primitive


def _naive_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """One channel at a time."""
    if training:
        _check_count(x)
    channels = []
    for c in range(x.shape[1]):
        values = x[:, c]  # [B, …]
        if training:
            count = values.numel()
            mean = values.sum() / count
            var = ((values - mean) ** 2).sum() / count
            if running_mean is not None and running_var is not None:
                with torch.no_grad():
                    running_mean[c] += momentum * (mean - running_mean[c])
                    running_var[c] += momentum * (var * count / (count - 1) - running_var[c])
        else:
            mean, var = (statistic[c] for statistic in _given(running_mean, running_var))
        y = (values - mean) / (var + eps) ** 0.5
        y = y if weight is None else y * weight[c]
        channels.append(y if bias is None else y + bias[c])
    return torch.stack(channels, dim=1)


def _scratch_batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """All channels at once: subtract the mean, divide by the deviation, scale and shift."""
    if training:
        _check_count(x)
        everything_else = [0, *range(2, x.ndim)]
        mean = x.mean(everything_else)  # [C]
        var = x.var(everything_else, correction=0)  # [C]
        if running_mean is not None and running_var is not None:
            count = x.numel() // x.shape[1]
            with torch.no_grad():  # the running variance is the unbiased one
                running_mean += momentum * (mean - running_mean)
                running_var += momentum * (var * count / (count - 1) - running_var)
    else:
        mean, var = _given(running_mean, running_var)
    shape = [1, -1] + [1] * (x.ndim - 2)  # [1, C, 1, …], one number per channel
    y = (x - mean.view(shape)) * (var + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return y if bias is None else y + bias.view(shape)


@primitive(naive=_naive_batch_norm, scratch=_scratch_batch_norm)
def batch_norm(
    x: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Give every channel mean 0 and variance 1, then scale and shift it (Ioffe & Szegedy 2015).

    In training, the statistics are those of the batch (variance divided by n), and the running
    statistics move towards them in place: running ← (1 − momentum)·running + momentum·batch, with
    the unbiased variance (divided by n − 1). In evaluation, the running statistics are used.

    Args:
        x: [B, C, …].
        running_mean: [C], updated in place in training; None if there is none.
        running_var: [C], updated in place in training; None if there is none.
        weight: [C], scale γ; None means 1.
        bias: [C], shift β; None means 0.
        training: use the statistics of the batch (True) or the running ones (False).
        momentum: weight of the batch in the running statistics.
        eps: added to the variance.

    Returns:
        a tensor of the shape of x.

    Raises:
        SeglibError: one value per channel in training, or no running statistics in evaluation, in
            "naive" and "scratch"; "native" raises PyTorch's ValueError or RuntimeError.
    """
    return F.batch_norm(x, running_mean, running_var, weight, bias, training, momentum, eps)


def _given(running_mean: Tensor | None, running_var: Tensor | None) -> tuple[Tensor, Tensor]:
    if running_mean is None or running_var is None:
        raise SeglibError("batch_norm in evaluation needs running_mean and running_var")
    return running_mean, running_var


def _check_count(x: Tensor) -> None:
    if x.numel() == x.shape[1]:
        raise SeglibError(
            f"batch_norm in training needs more than one value per channel, got {list(x.shape)}: "
            "use a larger batch or image, or evaluation mode"
        )
