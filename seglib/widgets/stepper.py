"""An explorer of convolution, one output cell at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from seglib.ops.convolution import conv2d
from seglib.ops.windows import output_length
from seglib.plotting.canvas import to_numpy
from seglib.plotting.convolution import convolution_step
from seglib.plotting.panels import Figure
from seglib.widgets.explorer import Explorer, choice, slider

KERNELS: dict[str, list[list[float]]] = {
    "vertical edge": [[1, 0, -1], [2, 0, -2], [1, 0, -1]],
    "horizontal edge": [[1, 2, 1], [0, 0, 0], [-1, -2, -1]],
    "mean": [[1 / 9] * 3] * 3,
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "identity": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
}


def bright_square(size: int = 7) -> Tensor:
    """An image [size, size] with a bright square on a background with a slight gradient."""
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    picture = (rows + columns) // 3
    picture[2:5, 2:5] += 5
    return picture.double()


class ConvolutionStepper(Explorer):
    """Choose kernel, stride, padding, dilation and an output cell; see the sum computed for it.

    `values`: `value` of the output cell, its `row` and `column`, the output's `height` and
    `width`, and the whole `output` [height, width].
    """

    process = "position"

    def __init__(
        self,
        image: Any = None,
        kernels: Mapping[str, Any] | None = None,
        *,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        position: int = 0,
    ) -> None:
        """`image` [H, W] of at least 7 x 7 (a bright square by default); `kernels` name → 3 x 3."""
        self.image = bright_square() if image is None else torch.as_tensor(to_numpy(image)).double()
        self.kernels = dict(kernels or KERNELS)
        last = (min(self.image.shape) + 2) ** 2 - 1
        super().__init__(
            {
                "kernel": choice("kernel", list(self.kernels), next(iter(self.kernels))),
                "stride": slider("stride", stride, 1, 3),
                "padding": slider("padding", padding, 0, 2),
                "dilation": slider("dilation", dilation, 1, 3),
                "position": slider("position", position, 0, last),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Nine positions of the window, with and without stride, padding and dilation."""
        return {
            "stride": [1, 2],
            "padding": [0, 2],
            "dilation": [1, 2],
            "position": [0, 1, 2, 3, 6, 8, 12, 16, 24],
        }

    def compute(self) -> dict[str, Any]:
        """The output of `ops.conv2d`; a position beyond the last cell selects that cell."""
        kernel = self.kernel()
        stride, padding, dilation = (self.setting(k) for k in ("stride", "padding", "dilation"))
        output = conv2d(
            self.image[None, None], kernel[None, None], None, stride, padding, dilation
        )[0, 0]
        height, width = (
            output_length(n, k, stride, padding, dilation)
            for n, k in zip(self.image.shape, kernel.shape, strict=True)
        )
        place = min(self.setting("position"), height * width - 1)
        self.controls["position"].max = height * width - 1
        row, column = divmod(place, width)
        return {
            "value": float(output[row, column]),
            "row": row,
            "column": column,
            "height": height,
            "width": width,
            "output": to_numpy(output),
        }

    def kernel(self) -> Tensor:
        """The chosen kernel [kh, kw]."""
        return torch.as_tensor(to_numpy(self.kernels[self.setting("kernel")])).double()

    def figure(self) -> Figure:
        """Input, kernel and output at the chosen cell."""
        return convolution_step(
            self.image,
            self.kernel(),
            self.values["output"],
            (self.values["row"], self.values["column"]),
            stride=self.setting("stride"),
            padding=self.setting("padding"),
            dilation=self.setting("dilation"),
        )

    def summary(self) -> str:
        """The value of the cell and the size of the output."""
        v = self.values
        return (
            f"Output cell ({v['row']}, {v['column']}) = {v['value']:.2f}; "
            f"the output has {v['height']} × {v['width']} cells."
        )
