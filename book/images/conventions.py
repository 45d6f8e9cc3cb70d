"""Draw the figure of the notation page: python book/images/conventions.py"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

BLUE, ORANGE, GREY = "#0072B2", "#D55E00", "#5F5F5F"
MASK = [(1, 2), (1, 3), (2, 1), (2, 2), (2, 3), (2, 4), (3, 2), (3, 3)]  # (row, column)


def box_and_mask(axes: Axes) -> None:
    """A grid of 5 x 6 pixels, an object of eight of them, and the half-open box around it."""
    for row in range(5):
        for column in range(6):
            inside = (row, column) in MASK
            face = "#BFDFF2" if inside else "white"
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=face, edgecolor="#BBBBBB"))
            axes.plot(column + 0.5, row + 0.5, ".", color=GREY, markersize=2)
    axes.add_patch(Rectangle((1, 1), 4, 3, fill=False, edgecolor=ORANGE, linewidth=2.5))
    for x, y, text, left, top in (
        (1, 1, "(x0, y0) = (1, 1)", 1.1, 0.85),
        (5, 4, "(x1, y1) = (5, 4)", 3.1, 4.45),
    ):
        axes.plot(x, y, "o", color=ORANGE, markersize=6)
        axes.text(left, top, text, color=ORANGE, fontsize=9)
    axes.annotate(
        "centre of pixel [0, 0]\nat (0.5, 0.5)",
        (0.5, 0.5),
        (-3.1, 1.6),
        fontsize=8,
        color=GREY,
        arrowprops={"arrowstyle": "->", "color": GREY},
    )
    axes.set(xlim=(-3.2, 6.4), ylim=(5.2, -0.9), aspect="equal")
    axes.set_title("Box and mask", fontsize=10)
    axes.annotate("", (6.2, -0.3), (0, -0.3), arrowprops={"arrowstyle": "->"})
    axes.text(6.1, -0.45, "x", fontsize=9)
    axes.annotate("", (-0.3, 5), (-0.3, 0), arrowprops={"arrowstyle": "->"})
    axes.text(-0.7, 4.9, "y", fontsize=9)
    axes.axis("off")


def labels(axes: Axes) -> None:
    """The values of a label map."""
    rows = [
        ("0", "background", "white"),
        ("1 … C", "the categories, in order", "#BFDFF2"),
        ("255", "ignored: not trained on, not counted", "#DDDDDD"),
    ]
    for index, (number, meaning, color) in enumerate(rows):
        axes.add_patch(Rectangle((0, index), 1.3, 0.8, facecolor=color, edgecolor=GREY))
        axes.text(0.65, index + 0.45, number, ha="center", va="center", fontsize=9)
        axes.text(1.5, index + 0.45, meaning, va="center", fontsize=9)
    axes.set(xlim=(-0.1, 6), ylim=(3.2, -0.6))
    axes.set_title("Labels of pixels", fontsize=10)
    axes.axis("off")


def batch(axes: Axes) -> None:
    """Two images of different sizes in one padded batch."""
    for left, width, height in ((0, 4, 3), (5.2, 3, 4)):
        axes.add_patch(Rectangle((left, 0), 4, 4, facecolor="#EEEEEE", edgecolor=GREY, hatch="//"))
        axes.add_patch(Rectangle((left, 0), width, height, facecolor="#BFDFF2", edgecolor=BLUE))
        axes.text(
            left + width / 2,
            height / 2,
            f"{height} × {width}",
            ha="center",
            va="center",
            fontsize=9,
        )
    axes.set(xlim=(-0.2, 9.4), ylim=(4.3, -0.4), aspect="equal")
    axes.set_title("A batch is padded right and below", fontsize=10)
    axes.axis("off")


def main() -> None:
    """Write conventions.svg beside this file, with the same bytes on every run."""
    mpl.rcParams.update({"svg.hashsalt": "seglib", "svg.fonttype": "path"})
    figure, axes = plt.subplots(
        1, 3, figsize=(10.5, 3), width_ratios=(1.5, 1.1, 1.2), layout="constrained"
    )
    for draw, place in zip((box_and_mask, labels, batch), axes, strict=True):
        draw(place)
    figure.savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
