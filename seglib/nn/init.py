"""How weights start."""

from __future__ import annotations

from torch import nn


def he_initialise(network: nn.Module) -> None:
    """Draw every convolution in `network` so that ReLUs keep the gradient's variance.

    Normal with variance 2 / (output channels x kernel area), biases zero (He et al. 2015,
    "Delving deep into rectifiers", section 2.2; "fan_out", as torchvision does).
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
