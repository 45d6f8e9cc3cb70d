"""Layers that compute with seglib's primitives: torch.nn's classes with another `forward`.

Names, constructor arguments, parameters and state-dict keys are torch.nn's, so weights move
freely between the two; only `forward` goes through `seglib.ops`, where `seglib.use` can choose
another body. Linear and ReLU are torch.nn's, unchanged.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from seglib import ops
from seglib.errors import SeglibError
from seglib.ops.precision import is_slow_bfloat16, without_autocast


class Conv2d(nn.Conv2d):
    """`torch.nn.Conv2d` whose forward is `ops.conv2d`."""

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if isinstance(self.padding, str) or self.padding_mode != "zeros":
            raise SeglibError(
                f"Conv2d(padding={self.padding!r}, padding_mode={self.padding_mode!r}): "
                "give the padding as a number and pad the input yourself for other modes"
            )
        return ops.conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )


class ConvTranspose2d(nn.ConvTranspose2d):
    """`torch.nn.ConvTranspose2d` whose forward is `ops.conv_transpose2d`."""

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """[B, C, H, W] → [B, O, OH, OW]; `output_size` (OH, OW) chooses the output padding."""
        padding = self._output_padding(
            input,
            output_size,
            self.stride,  # type: ignore[arg-type]
            self.padding,  # type: ignore[arg-type]
            self.kernel_size,  # type: ignore[arg-type]
            2,
            self.dilation,  # type: ignore[arg-type]
        )
        return ops.conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
            (padding[0], padding[1]),
            self.groups,
            self.dilation,
        )


class MaxPool2d(nn.MaxPool2d):
    """`torch.nn.MaxPool2d` whose forward is `ops.max_pool2d`; no dilation, no indices."""

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode=ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, OH, OW]."""
        return ops.max_pool2d(
            input, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode
        )


class BatchNorm2d(nn.BatchNorm2d):
    """`torch.nn.BatchNorm2d` whose forward is `ops.batch_norm`."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] → the same shape; training updates the running statistics."""
        self._check_input_dim(input)
        momentum = 0.0 if self.momentum is None else self.momentum
        if self.training and self.track_running_stats and self.num_batches_tracked is not None:
            self.num_batches_tracked.add_(1)
            if self.momentum is None:  # the plain average of all batches so far
                momentum = 1.0 / float(self.num_batches_tracked)
        keeps_statistics = self.running_mean is not None and self.running_var is not None
        tracks = self.track_running_stats or not self.training
        return ops.batch_norm(
            input,
            self.running_mean if tracks else None,
            self.running_var if tracks else None,
            self.weight,
            self.bias,
            self.training or not keeps_statistics,
            momentum,
            self.eps,
        )


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm`, which a processor computes in float32 if its input is bfloat16."""

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] → the same shape and type."""
        if not is_slow_bfloat16(input):
            return super().forward(input)
        with without_autocast(input):
            return super().forward(input.float()).to(input.dtype)


class FrozenBatchNorm2d(nn.Module):
    """Batch normalisation with fixed statistics, scale and shift, for fine-tuning.

    All four are buffers, so no optimiser changes them. Loads the state dict of a BatchNorm2d.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.num_features = num_features
        self.eps = eps
        self.register_buffer("weight", torch.ones(num_features))
        self.register_buffer("bias", torch.zeros(num_features))
        self.register_buffer("running_mean", torch.zeros(num_features))
        self.register_buffer("running_var", torch.ones(num_features))

    def forward(self, input: Tensor) -> Tensor:
        """[B, C, H, W] → the same shape."""
        return ops.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=False,
            eps=self.eps,
        )

    def extra_repr(self) -> str:
        """Shown by print(model)."""
        return f"{self.num_features}, eps={self.eps}"

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # A trained BatchNorm2d also counts its batches, which has no meaning here.
        state_dict.pop(prefix + "num_batches_tracked", None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def he_initialise(network: nn.Module) -> None:
    """Initialise every convolution in `network` so that ReLUs keep the gradient's variance.

    Normal with variance 2 / (output channels x kernel area), biases zero (He et al. 2015,
    "Delving deep into rectifiers", section 2.2; "fan_out", as torchvision does).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
