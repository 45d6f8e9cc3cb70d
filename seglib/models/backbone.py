"""The ResNet that a paradigm's config describes."""

from __future__ import annotations

from typing import Any, Protocol

from seglib.nn.norm import Norm
from seglib.nn.resnet import BasicBlock, Bottleneck, ResNet, Stem


class ResNetConfig(Protocol):
    """The fields of a config from which `make_resnet` builds."""

    @property
    def blocks(self) -> tuple[int, ...]:
        """Residual blocks of the four stages."""

    @property
    def bottleneck(self) -> bool:
        """Whether the blocks are bottleneck blocks instead of basic ones."""

    @property
    def width(self) -> int:
        """Channels of the first stage's 3x3 convolutions."""

    @property
    def stem(self) -> Stem:
        """The layers before the stages."""

    @property
    def norm(self) -> Norm:
        """The kind of normalisation."""

    @property
    def frozen_stages(self) -> int:
        """Parts that do not train, as in `ResNet.freeze`."""


def make_resnet(config: ResNetConfig, **options: Any) -> ResNet:
    """The backbone, with its first parts frozen; `options` are further arguments of `ResNet`."""
    backbone = ResNet(
        Bottleneck if config.bottleneck else BasicBlock,
        config.blocks,
        width=config.width,
        stem=config.stem,
        norm=config.norm,
        **options,
    )
    backbone.freeze(config.frozen_stages)
    return backbone
