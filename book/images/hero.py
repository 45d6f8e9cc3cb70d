"""Draw the figure of the README and the landing page: python book/images/hero.py

Drawn scenes of Pocket COCO's validation split, their truth, and what two shipped checkpoints find.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes

from seglib import pretrained
from seglib.data import load_dataset
from seglib.plotting.matched import matched_shades
from seglib.plotting.overlays import Layer, overlay
from seglib.plotting.panels import Figure, figure, show_pixels
from seglib.plotting.png import encode_png
from seglib.plotting.style import mark_colors, styled

SCENES = (2000014, 2000025)
MODELS: dict[str, tuple[str, Layer]] = {
    "mask_rcnn": ("Out: by Mask R-CNN", "instances"),
    "maskformer": ("Out: by MaskFormer", "panoptic"),
}
SIDE, DPI = 384, 140  # pixels of a panel's picture, and of an inch
FILE = Path(__file__).with_suffix(".png")


@styled
def hero(scenes: Sequence[int] = SCENES) -> Figure:
    """A row for each scene: the image, its truth, and what each model finds.

    An object has one colour along its row.
    """
    data = load_dataset("pocket", split="val").select(scenes)
    networks = {name: pretrained.load(name) for name in MODELS}
    fig, grid = figure(2 + len(MODELS), len(scenes), panel=2.4)
    fig.set_dpi(DPI)
    titles = ["In: an image", "Out: as annotated"]
    for axes, title in zip(
        grid[0], [*titles, *(title for title, _ in MODELS.values())], strict=True
    ):
        axes.set_title(title)
    for row, (image, target) in zip(grid, data, strict=True):
        put(row[0], image)
        put(row[1], overlay(image, target, data.categories, boxes=False, side=SIDE))
        for axes, (name, (_, layer)) in zip(row[2:], MODELS.items(), strict=True):
            found = networks[name].predict([image])[0]
            shades = matched_shades(found, target, layer)
            put(axes, overlay(image, found, layer=layer, shades=shades, boxes=False, side=SIDE))
    return fig


def put(axes: Axes, pixels: Any) -> None:
    """Show an image on bare axes whose title stays."""
    show_pixels(axes, pixels, axes.get_title())


if __name__ == "__main__":
    FILE.write_bytes(encode_png(hero().pixels(), 256, mark_colors()))
