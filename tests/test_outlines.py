"""Outlines and seams: rasterizing them gives the mask again, with its holes and parts."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from seglib.ops.outlines import join_outlines, mask_outlines
from seglib.ops.polygons import rasterize


def test_a_rectangle_has_four_corners() -> None:
    mask = torch.zeros(5, 7, dtype=torch.bool)
    mask[1:3, 2:6] = True
    (outline,) = mask_outlines(mask)
    assert sorted(map(tuple, outline.tolist())) == [(2, 1), (2, 3), (6, 1), (6, 3)]


def test_a_hole_has_an_outline_of_its_own() -> None:
    mask = torch.ones(4, 4, dtype=torch.bool)
    mask[1:3, 1:3] = False
    outer, hole = sorted(mask_outlines(mask), key=lambda ring: ring[:, 0].min())
    assert np.ptp(outer, axis=0).tolist() == [4, 4]
    assert np.ptp(hole, axis=0).tolist() == [2, 2]


def test_an_empty_mask_has_none() -> None:
    assert mask_outlines(torch.zeros(3, 4, dtype=torch.bool)) == []


def test_a_seam_is_followed_in_both_directions() -> None:
    joined = join_outlines([[0, 0, 2, 0, 2, 2], [5, 5, 6, 5, 6, 6], [8, 8, 9, 8, 9, 9]])
    assert joined.tolist() == [
        [0, 0], [2, 0], [2, 2], [0, 0],
        [5, 5], [6, 5], [6, 6], [5, 5], [0, 0],
        [8, 8], [9, 8], [9, 9], [8, 8],
    ]  # fmt: skip
    assert join_outlines([[0, 0, 2, 0, 2, 2]]).tolist() == [[0, 0], [2, 0], [2, 2]]


@settings(max_examples=150, deadline=None)
@given(arrays(bool, st.tuples(st.integers(1, 12), st.integers(1, 12))))
def test_any_mask_is_restored_from_one_polygon(pixels: np.ndarray) -> None:
    mask = torch.from_numpy(pixels)
    outlines = mask_outlines(mask)
    assert bool(outlines) == bool(mask.any())
    if outlines:
        assert torch.equal(rasterize([join_outlines(outlines)], mask.shape), mask)
