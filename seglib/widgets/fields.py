"""An explorer of the receptive field of a stack of convolutions."""

from __future__ import annotations

from typing import Any

from seglib.ops.grid import Grid
from seglib.plotting.panels import Figure
from seglib.plotting.receptive import show_field_growth
from seglib.widgets.explorer import Explorer, choice, slider


class ReceptiveField(Explorer):
    """A stack of layers, identical except that only the first `strided` of them have the stride.

    `values`: the `field` and the `jump` (accumulated stride) after the last layer in pixels, and
    `table`, a list of (layer, field, jump).
    """

    process = "layers"

    def __init__(
        self,
        image: Any = None,
        *,
        layers: int = 4,
        kernel: int = 3,
        stride: int = 2,
        strided: int = 2,
        dilation: int = 1,
    ) -> None:
        """`image`: the fields are drawn over it; by default a blank 128 x 128 image."""
        self.image = image
        super().__init__(
            {
                "layers": slider("layers", layers, 1, 7),
                "kernel": choice("kernel", [1, 3, 5, 7], kernel),
                "stride": slider("stride", stride, 1, 3),
                "strided layers": slider("strided layers", strided, 0, 7),
                "dilation": slider("dilation", dilation, 1, 4),
            }
        )

    def ahead(self) -> dict[str, list[Any]]:
        """Depth, kernel, stride and dilation, each small and large."""
        return {
            "layers": [2, 4, 6],
            "kernel": [3, 7],
            "stride": [1, 2],
            "strided layers": [2, 4],
            "dilation": [1, 4],
        }

    def compute(self) -> dict[str, Any]:
        """Follow the cells through the layers with `ops.grid.Grid`."""
        grid, table = Grid(), []
        for layer in range(1, self.setting("layers") + 1):
            stride = self.setting("stride") if layer <= self.setting("strided layers") else 1
            grid = grid.convolved(self.setting("kernel"), stride, 0, self.setting("dilation"))
            table.append((layer, int(grid.field), int(grid.stride)))
        return {"field": int(grid.field), "jump": int(grid.stride), "table": table}

    def figure(self) -> Figure:
        """The field after each layer, as bars and over the image."""
        _, fields, jumps = zip(*self.values["table"], strict=True)
        return show_field_growth(fields, jumps, self.image)

    def summary(self) -> str:
        """The field and the jump after the last layer."""
        v = self.values
        return (
            f"After {self.setting('layers')} layers, one cell sees {v['field']} × {v['field']} "
            f"pixels, and neighbouring cells are {v['jump']} px apart."
        )
