"""Feature maps as colours: similar for similar cells, and reproducible."""

import numpy as np
import pytest
import torch

from seglib.errors import SeglibError
from seglib.plotting import feature_colors


def test_similar_cells_get_similar_colours_and_different_ones_do_not():
    features = torch.zeros(5, 4, 6)
    features[:, :, 3:] = torch.tensor([1.0, -2, 3, 0, 1])[:, None, None]
    painted = feature_colors(features)
    assert painted.shape == (4, 6, 3)
    assert painted.dtype == np.uint8
    left, right = painted[:, :3].reshape(-1, 3), painted[:, 3:].reshape(-1, 3)
    assert (left == left[0]).all()
    assert (right == right[0]).all()
    assert abs(int(left[0, 0]) - int(right[0, 0])) > 50


def test_the_same_map_gives_the_same_picture():
    features = torch.randn(8, 5, 5, generator=torch.Generator().manual_seed(0))
    assert (feature_colors(features) == feature_colors(features.clone())).all()


def test_a_flat_map_is_grey_and_too_few_channels_are_refused():
    assert (feature_colors(torch.ones(4, 2, 2)) == 128).all()
    with pytest.raises(SeglibError, match="C ≥ 3"):
        feature_colors(torch.ones(2, 4, 4))
