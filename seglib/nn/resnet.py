"""ResNet (He et al., CVPR 2016): blocks that learn what to add to their input.

    image [B, 3, H, W]
      stem     7x7 conv /2, max pool /2          (or one 3x3 conv, "small")
      layer1   -> c2  /4    width
      layer2   -> c3  /8    2 x width
      layer3   -> c4  /16   4 x width
      layer4   -> c5  /32   8 x width            (channels x 4 with bottleneck blocks)

A block computes relu(x + F(x)): if F learns zero, the block passes its input on, so more blocks
need not make it worse, and the gradient reaches every block through the sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.nn.layers import Conv2d, MaxPool2d, he_initialise
from seglib.nn.norm import Norm, make_norm

Stem = Literal["imagenet", "half", "small"]
STEM_STRIDES: dict[Stem, int] = {"imagenet": 4, "half": 2, "small": 1}


class ResNetFeatures(NamedTuple):
    """One map per stage, finest first; `ResNet.channels` and `ResNet.strides` describe them.

    Attributes:
        c2: [B, channels[0], ~H/strides[0], ~W/strides[0]], and so on.
        c3: the second stage.
        c4: the third.
        c5: the fourth, deepest.
    """

    c2: Tensor
    c3: Tensor
    c4: Tensor
    c5: Tensor


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with a shortcut around them (ResNet-18 and -34).

    Args:
        in_channels: channels of the input.
        width: channels of the 3x3 convolutions; the output has `width * expansion` channels.
        stride: stride of the first convolution.
        dilation: dilation of both convolutions.
        norm: the kind of normalisation.
    """

    expansion: ClassVar[int] = 1

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = "batch",
    ) -> None:
        super().__init__()
        self.conv1 = _conv3x3(in_channels, width, stride, dilation)
        self.bn1 = make_norm(norm, width)
        self.conv2 = _conv3x3(width, width, 1, dilation)
        self.bn2 = make_norm(norm, width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, width, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, width, H/stride, W/stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """1x1 to fewer channels, 3x3, 1x1 to more, with a shortcut around them (ResNet-50 and deeper).

    The 3x3 convolution has the stride, as in torchvision and its weights ("ResNet v1.5").

    Args:
        in_channels, width, stride, dilation, norm: as for `BasicBlock`.
        stride_in_1x1: give the stride to the first 1x1, as in the paper and in the weights that
            detectron2 starts from.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        dilation: int = 1,
        norm: Norm = "batch",
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        out_channels = width * self.expansion
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = Conv2d(in_channels, width, kernel_size=1, stride=first, bias=False)
        self.bn1 = make_norm(norm, width)
        self.conv2 = _conv3x3(width, width, second, dilation)
        self.bn2 = make_norm(norm, width)
        self.conv3 = Conv2d(width, out_channels, kernel_size=1, bias=False)
        self.bn3 = make_norm(norm, out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, out_channels, stride, norm)

    def forward(self, x: Tensor) -> Tensor:
        """[B, in_channels, H, W] -> [B, 4 * width, H/stride, W/stride]."""
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """The convolutional backbone, with torchvision's state-dict names.

    A torchvision ResNet's state dict without its `fc.` keys loads strictly.

    Args:
        block: BasicBlock or Bottleneck.
        layers: number of blocks in each of the four stages.
        width: channels of the first stage's 3x3 convolutions; each stage doubles them.
        stem: "imagenet" (7x7 stride 2, then a stride-2 pool), "half" (one 3x3, stride 2) or
            "small" (one 3x3, stride 1).
        replace_stride_with_dilation: for stages 2, 3 and 4, whether to keep the resolution and
            dilate the convolutions from there on instead, so that the receptive field still grows.
        norm: the kind of normalisation.
        stride_in_1x1: see `Bottleneck`.

    Attributes:
        channels: channels of c2…c5.
        strides: strides of c2…c5 in image pixels.
    """

    def __init__(
        self,
        block: type[BasicBlock] | type[Bottleneck],
        layers: Sequence[int],
        *,
        width: int = 64,
        stem: Stem = "imagenet",
        replace_stride_with_dilation: Sequence[bool] = (False, False, False),
        norm: Norm = "batch",
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__()
        if stride_in_1x1 and block is BasicBlock:
            raise SeglibError("stride_in_1x1 needs bottleneck blocks: basic ones have no 1x1")
        if len(layers) != 4 or len(replace_stride_with_dilation) != 3:
            raise SeglibError(
                f"ResNet has 4 stages and may dilate the last 3: got layers={tuple(layers)}, "
                f"replace_stride_with_dilation={tuple(replace_stride_with_dilation)}"
            )
        if stem == "imagenet":
            self.conv1 = Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False)
            self.maxpool: nn.Module = MaxPool2d(kernel_size=3, stride=2, padding=1)
        else:
            self.conv1 = _conv3x3(3, width, stride=STEM_STRIDES[stem])
            self.maxpool = nn.Identity()
        self.bn1 = make_norm(norm, width)
        self.relu = nn.ReLU(inplace=True)

        self.channels = tuple(width * 2**index * block.expansion for index in range(4))
        inputs = (width, *self.channels[:3])
        dilation, total_stride = 1, STEM_STRIDES[stem]
        stages, strides = [], []
        for index, dilate in enumerate((False, *replace_stride_with_dilation)):
            stride = 1 if index == 0 or dilate else 2
            first_dilation, dilation = dilation, dilation * 2 if dilate else dilation
            # The first block of a dilated stage still reads its input at the old spacing.
            dilations = [first_dilation] + [dilation] * (layers[index] - 1)
            options = {"stride_in_1x1": True} if stride_in_1x1 else {}
            stages.append(
                _stage(block, inputs[index], width * 2**index, stride, dilations, norm, **options)
            )
            total_stride *= stride
            strides.append(total_stride)
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.strides = tuple(strides)
        he_initialise(self)

    def forward(self, x: Tensor) -> ResNetFeatures:
        """[B, 3, H, W] normalised images -> c2…c5; comments give shapes for `stem="imagenet"`."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # [B, width, H/4, W/4]
        c2 = self.layer1(x)  # [B, channels[0], H/4, W/4]
        c3 = self.layer2(c2)  # [B, channels[1], H/8, W/8]
        c4 = self.layer3(c3)  # [B, channels[2], H/16, W/16]
        c5 = self.layer4(c4)  # [B, channels[3], H/32, W/32]
        return ResNetFeatures(c2, c3, c4, c5)

    def freeze(self, parts: int) -> None:
        """Exclude the first parts from training: 1 the stem, 2 also the first stage, up to 5.

        Early filters are useful for every task, so a detector keeps those learned on ImageNet.

        Raises:
            SeglibError: parts outside 0…5.
        """
        stem = (self.conv1, self.bn1)
        in_order = (stem, *((s,) for s in (self.layer1, self.layer2, self.layer3, self.layer4)))
        if not 0 <= parts <= len(in_order):
            raise SeglibError(f"cannot freeze {parts} parts of a ResNet: it has {len(in_order)}")
        for part in in_order[:parts]:
            for module in part:
                module.requires_grad_(False)


def resnet18(**options: Any) -> ResNet:
    """ResNet-18, 11 M parameters; see `ResNet` for the options."""
    return ResNet(BasicBlock, (2, 2, 2, 2), **options)


def resnet34(**options: Any) -> ResNet:
    """ResNet-34, 21 M parameters; see `ResNet` for the options."""
    return ResNet(BasicBlock, (3, 4, 6, 3), **options)


def resnet50(**options: Any) -> ResNet:
    """ResNet-50, 24 M parameters; see `ResNet` for the options."""
    return ResNet(Bottleneck, (3, 4, 6, 3), **options)


def _conv3x3(in_channels: int, out_channels: int, stride: int = 1, dilation: int = 1) -> Conv2d:
    return Conv2d(
        in_channels,
        out_channels,
        kernel_size=3,
        stride=stride,
        padding=dilation,
        dilation=dilation,
        bias=False,
    )


def _shortcut(in_channels: int, out_channels: int, stride: int, norm: Norm) -> nn.Module | None:
    """A 1x1 convolution if the block changes the shape, otherwise None (the paper's option B)."""
    if stride == 1 and in_channels == out_channels:
        return None
    conv = Conv2d(in_channels, out_channels, kernel_size=1, stride=stride, bias=False)
    return nn.Sequential(conv, make_norm(norm, out_channels))


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    in_channels: int,
    width: int,
    stride: int,
    dilations: Sequence[int],
    norm: Norm,
    **options: bool,
) -> nn.Sequential:
    """One block per dilation; the first one has the stride and changes the channels."""
    first = block(in_channels, width, stride, dilations[0], norm, **options)
    rest = [block(width * block.expansion, width, 1, d, norm) for d in dilations[1:]]
    return nn.Sequential(first, *rest)
