"""Reuse figures: creating axes takes more time than drawing on them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

Panels = tuple[Any, NDArray[Any]]  # a figure and its axes, [nrows, ncols]
Shelf = dict[Hashable, Panels]  # the figure drawn last, by its kind

_shelf: ContextVar[Shelf | None] = ContextVar("shelf", default=None)


@contextmanager
def recycling(shelf: Shelf) -> Iterator[None]:
    """Inside the block, a figure of the same kind as the one on the shelf is reused."""
    token = _shelf.set(shelf)
    try:
        yield
    finally:
        _shelf.reset(token)


def recycled(kind: Hashable, make: Callable[[], Panels]) -> Panels:
    """An empty figure of this kind: the one on the shelf, or a new one, which replaces it."""
    shelf = _shelf.get()
    if shelf is None:
        return make()
    if kind in shelf:
        fig, grid = shelf[kind]
        _empty_figure(fig, list(grid.flat))
    else:
        shelf.clear()
        shelf[kind] = make()
    return shelf[kind]


def _empty_figure(fig: Figure, panels: list[Axes]) -> None:
    for legend in list(fig.legends):
        legend.remove()
    for axes in fig.axes:
        if axes in panels:
            _empty_axes(axes)
        else:
            axes.remove()


def _empty_axes(axes: Axes) -> None:
    """Clear axes. Those of images are emptied piece by piece, since `clear` creates new ticks."""
    if axes.axison and (len(axes.get_xticks()) or len(axes.get_yticks())):
        axes.clear()
        return
    legend = axes.get_legend()
    kinds = (axes.images, axes.lines, axes.patches, axes.collections, axes.texts)
    for artist in [artist for kind in kinds for artist in kind] + ([legend] if legend else []):
        artist.remove()
    axes.set_title("")
    axes.set_axis_on()
    axes.set_aspect("auto")
    axes.set_prop_cycle(None)
    axes.relim()
    axes.set_xlim(0, 1, auto=True)
    axes.set_ylim(0, 1, auto=True)
