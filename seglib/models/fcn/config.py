"""How an FCN is built, small and as published."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal

from seglib.models.config import ModelConfig, check_range
from seglib.nn.norm import Norm
from seglib.nn.vgg import VGG16_STAGES

Variant = Literal["32s", "16s", "8s", "dilated"]
VARIANTS: tuple[Variant, ...] = ("32s", "16s", "8s", "dilated")


@dataclass(frozen=True)
class FCNConfig(ModelConfig):
    """How an FCN is built. Fields that only some variants use name those variants first.

    `image_size` is None in both presets: the network accepts every size, so images keep theirs.

    Attributes:
        variant: 32s, 16s, 8s or dilated, see model.py.
        norm: normalisation after every convolution of backbone and head.
        dropout: probability of dropout after each head layer.
        reduction: the loss is averaged over the valid pixels ("mean") or summed ("sum", as
            published).
        stages: 32s, 16s, 8s: widths of the VGG backbone's convolutions.
        first_padding: zeros around the image in the first convolution.
        head_width: channels of fc6 and fc7.
        head_kernel: side of fc6's kernel.
        head_padding: zeros around pool5 in fc6.
        learn_upsampling: "inner" (the paper: the x2 steps are learned, the last step stays
            bilinear), "none" (the released networks) or "all".
        skip_scale: factors on (pool4, pool3) before their scores; (0.01, 0.0001) lets "at-once"
            training of an 8s without normalisation start with scores of similar size.
        blocks: dilated: residual blocks of the four stages.
        bottleneck: dilated: bottleneck blocks instead of basic ones.
        width: dilated: channels of the first stage.
        auxiliary_weight: dilated: weight of the loss of the second head, which reads the third
            stage.
    """

    variant: Variant = "8s"
    norm: Norm = "none"
    dropout: float = 0.5
    reduction: Literal["mean", "sum"] = "sum"

    stages: tuple[tuple[int, ...], ...] = VGG16_STAGES
    first_padding: int = 100
    head_width: int = 4096
    head_kernel: int = 7
    head_padding: int = 0
    learn_upsampling: Literal["none", "inner", "all"] = "inner"
    skip_scale: tuple[float, float] = (1.0, 1.0)

    blocks: tuple[int, ...] = (3, 4, 6, 3)
    bottleneck: bool = True
    width: int = 64
    auxiliary_weight: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range(self, 0, 1, "dropout")
        check_range(self, 1, inf, "head_width", "head_kernel", "width", "stages", "blocks")
        check_range(self, 0, inf, "first_padding", "head_padding", "auxiliary_weight")

    @classmethod
    def pocket(cls, variant: Variant = "8s") -> FCNConfig:
        """About 2.4 M parameters; learns Pocket COCO at 128 px on two CPU cores.

        The same network with fewer channels and batch normalisation. Most of its convolutions
        have strides 4 and 8, where a 16 px object still covers several cells. VGG's second
        convolution at full resolution would take half of the time and is left out.
        """
        if variant == "dilated":
            return cls(
                variant=variant,
                norm="batch",
                dropout=0.1,
                reduction="mean",
                blocks=(2, 2, 2, 2),
                bottleneck=False,
                width=32,
            )
        return cls(
            variant=variant,
            norm="batch",
            dropout=0.1,
            reduction="mean",
            stages=((16,), (48,), (96, 96, 96), (160, 160, 160), (256, 256)),
            first_padding=1,
            head_width=256,
            head_kernel=3,
            head_padding=1,
        )

    @classmethod
    def paper(cls, variant: Variant = "8s") -> FCNConfig:
        """The published network: VGG-16 (134 M parameters), or torchvision's FCN-ResNet-50.

        Input is RGB with ImageNet statistics, which torchvision's VGG weights expect. The
        authors' own weights expect BGR in 0…255 with a mean subtracted: the same network once the
        first convolution's channels are reversed and scaled.
        """
        if variant == "dilated":
            return cls(variant=variant, norm="batch", dropout=0.1, reduction="mean")
        return cls(variant=variant)
