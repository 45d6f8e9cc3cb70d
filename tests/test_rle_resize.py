"""Resized runs equal those of the resized mask."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.nn import functional as F

from seglib.ops import rle
from seglib.ops.rle_resize import resize_rle

sizes = st.tuples(st.integers(1, 15), st.integers(1, 15))
masks = sizes.flatmap(lambda size: arrays(np.bool_, size, elements=st.booleans()))


def test_by_hand() -> None:
    corner = torch.tensor([[1, 0], [0, 0]]).bool()
    assert resize_rle(rle.encode(corner), (4, 4)).counts == [0, 2, 2, 2, 10]


@given(masks, sizes)
@settings(max_examples=150, deadline=None)
def test_equals_the_encoding_of_the_resized_mask(mask: np.ndarray, size: tuple[int, int]) -> None:
    (height, width), old = size, mask.shape
    rows = ((np.arange(height) + 0.5) * old[0] / height).astype(int)
    columns = ((np.arange(width) + 0.5) * old[1] / width).astype(int)
    resized = torch.from_numpy(mask[rows][:, columns])
    assert resize_rle(rle.encode(torch.from_numpy(mask)), size) == rle.encode(resized)


@pytest.mark.parametrize("fill", [False, True])
def test_empty_and_full_masks(fill: bool) -> None:
    mask = torch.full((3, 5), fill)
    assert resize_rle(rle.encode(mask), (7, 4)) == rle.encode(torch.full((7, 4), fill))


def test_a_photograph_s_masks_are_those_of_nearest_interpolation() -> None:
    mask = torch.rand(89, 133, generator=torch.Generator().manual_seed(0)) > 0.5
    large = F.interpolate(mask[None, None].float(), size=(400, 600), mode="nearest-exact")
    assert resize_rle(rle.encode(mask), (400, 600)) == rle.encode(large[0, 0] > 0)
