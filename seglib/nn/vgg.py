"""VGG (Simonyan & Zisserman, ICLR 2015): only 3x3 convolutions and 2x2 max pooling.

    image [B, 3, H, W]
      2 x conv 64,  pool -> /2
      2 x conv 128, pool -> /4
      3 x conv 256, pool -> /8    pool3
      3 x conv 512, pool -> /16   pool4
      3 x conv 512, pool -> /32   pool5

Two 3x3 convolutions see 5x5 pixels and three see 7x7, with fewer weights than one large
kernel and a ReLU between them. The backbone below leaves out the classifier (fc6, fc7, fc8);
`convolutionalize` turns those into convolutions, which is how FCN uses them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from seglib.errors import SeglibError
from seglib.nn.layers import Conv2d, MaxPool2d, he_initialise
from seglib.nn.norm import Norm, make_norm
from seglib.ops.grid import Grid

# VGG-16, "configuration D": the output channels of every convolution, stage by stage.
VGG16_STAGES = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGGFeatures(NamedTuple):
    """The last three pooled maps.

    Attributes:
        pool3: [B, C3, ~H/8, ~W/8].
        pool4: [B, C4, ~H/16, ~W/16].
        pool5: [B, C5, ~H/32, ~W/32].
    """

    pool3: Tensor
    pool4: Tensor
    pool5: Tensor


class VGG(nn.Module):
    """The convolutional backbone of VGG, with torchvision's state-dict names (`features.N.…`).

    A torchvision `vgg16` state dict without its `classifier.` keys loads strictly; with
    `norm="batch"` so does a `vgg16_bn` one.

    Args:
        stages: output channels of the convolutions of each of the five stages.
        norm: normalisation between convolution and ReLU.
        first_padding: number of zeros around the image; 100 in FCN, so that fc6 fits any image.
        ceil_mode: round pooled sizes up, as Caffe does and FCN needs, instead of down.

    Attributes:
        channels: channels of pool3, pool4, pool5.
        grids: where the cells of pool3, pool4, pool5 lie in the image.
    """

    strides = (8, 16, 32)

    def __init__(
        self,
        stages: Sequence[Sequence[int]] = VGG16_STAGES,
        *,
        norm: Norm = "none",
        first_padding: int = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        if len(stages) != 5:
            raise SeglibError(f"VGG has 5 stages, each ending in a pool; got {len(stages)}")
        layers: list[nn.Module] = []
        pools: list[int] = []
        grids: list[Grid] = []
        grid, channels, padding = Grid(), 3, first_padding
        for stage in stages:
            for width in stage:
                conv = Conv2d(channels, width, kernel_size=3, padding=padding)
                # torchvision's vgg16 does not number an absent norm.
                norms = [] if norm == "none" else [make_norm(norm, width)]
                layers += [conv, *norms, nn.ReLU(inplace=True)]
                grid, channels, padding = grid.convolved(3, padding=padding), width, 1
            pools.append(len(layers))
            layers.append(MaxPool2d(kernel_size=2, stride=2, ceil_mode=ceil_mode))
            grid = grid.convolved(2, stride=2)
            grids.append(grid)
        self.features = nn.Sequential(*layers)
        he_initialise(self)
        self._pools = pools
        self.channels = tuple(stage[-1] for stage in stages[2:])
        self.grids = tuple(grids[2:])

    def forward(self, x: Tensor) -> VGGFeatures:
        """[B, 3, H, W] normalised images -> pool3, pool4, pool5."""
        pooled = []  # one map per stage, the l-th is [B, C_l, H / 2^l, W / 2^l]
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in self._pools:
                pooled.append(x)
        return VGGFeatures(*pooled[2:])


def vgg16(*, norm: Norm = "none", first_padding: int = 1, ceil_mode: bool = False) -> VGG:
    """VGG-16's backbone; see `VGG` for the arguments."""
    return VGG(VGG16_STAGES, norm=norm, first_padding=first_padding, ceil_mode=ceil_mode)


def convolutionalize(linear: nn.Linear, kernel_size: int = 1) -> Conv2d:
    """Turn a fully connected layer over a flattened feature map into the equal convolution.

    The linear layer reads a [C, k, k] map flattened to C*k*k numbers. A k x k convolution with
    the same weights does the same at one place, and also at every other place of a larger map
    (Long et al. 2015, section 3.1).

    Args:
        linear: [out, C*k*k] weights.
        kernel_size: k, the side of the map it was trained on (7 for VGG's fc6, 1 after it).

    Returns:
        Conv2d(C, out, k) without padding, with a copy of the weights.

    Raises:
        SeglibError: the layer's inputs do not divide into k x k cells.
    """
    channels, rest = divmod(linear.in_features, kernel_size**2)
    if rest:
        raise SeglibError(
            f"a linear layer with {linear.in_features} inputs does not read {kernel_size} x "
            f"{kernel_size} cells: choose the kernel_size of the map it was trained on"
        )
    conv = Conv2d(channels, linear.out_features, kernel_size, bias=linear.bias is not None)
    conv.load_state_dict(
        {
            k: v.view(-1, channels, kernel_size, kernel_size) if v.ndim == 2 else v
            for k, v in linear.state_dict().items()
        }
    )
    return conv.to(linear.weight)
