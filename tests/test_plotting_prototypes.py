"""Figures of prototypes: each on its own scale; weighted ones on one that shows their signs."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest
import torch

from seglib.errors import SeglibError
from seglib.plotting import show_mixture, show_prototypes
from seglib.plotting.style import DIVERGING
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 16 * 24).reshape(3, 16, 24)


def test_each_prototype_has_its_own_scale() -> None:
    maps = torch.zeros(3, 4, 6)
    maps[0, 1, 2], maps[1, 0, 0] = 5, 0.5
    fig = show_prototypes(maps, columns=2)
    first, second, silent = (axes.images[0] for axes in fig.axes[:3])
    assert (first.get_clim(), second.get_clim()) == ((0, 5), (0, 0.5))
    assert silent.get_array().max() == 0
    assert [axes.get_title() for axes in fig.axes] == ["0", "1", "2", ""]
    assert "cup" in words(show_prototypes(maps, ["cup"]))


def test_terms_share_a_scale_around_zero_and_are_summed() -> None:
    terms = torch.stack([torch.full((8, 12), 2.0), torch.full((8, 12), -3.0)])
    mask = torch.full((16, 24), 0.25)
    fig = show_mixture(IMAGE, terms, mask, ["a", "b"], box=torch.tensor([2.0, 3, 10, 9]))
    assert [axes.get_title() for axes in fig.axes] == ["a", "b", "sum", "mask"]
    shades = mpl.colormaps[DIVERGING](np.array([5, 0, 2]) / 6, bytes=True)  # of 2, -3 and -1
    for axes, shade in zip(fig.axes, shades, strict=False):
        assert np.array_equal(axes.images[0].get_array(), np.broadcast_to(shade[:3], (8, 12, 3)))
    assert np.array_equal(fig.axes[3].images[1].get_array(), mask.numpy())
    (box,) = fig.axes[3].patches
    assert (box.get_xy(), box.get_width(), box.get_height()) == ((2, 3), 8, 6)
    assert not show_mixture(IMAGE, terms, mask, ["a", "b"]).axes[3].patches


@pytest.mark.parametrize("maps", [torch.zeros(0, 4, 4), torch.zeros(4, 4)])
def test_other_shapes_are_refused(maps: torch.Tensor) -> None:
    with pytest.raises(SeglibError, match=r"nothing to draw|\[k, h, w\]"):
        show_prototypes(maps)
    with pytest.raises(SeglibError, match=r"nothing to draw|\[k, h, w\]"):
        show_mixture(IMAGE, maps, torch.zeros(4, 4), [])
