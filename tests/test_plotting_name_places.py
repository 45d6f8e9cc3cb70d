"""A mask's name is written at its largest piece, and no colour tints a pixel twice."""

from __future__ import annotations

import numpy as np
import torch

from seglib import plotting
from seglib.plotting.canvas import Canvas
from seglib.plotting.name_places import largest_piece, name_mask
from seglib.structures import Instances

BLUE = (0, 114, 178)


def two_pieces() -> np.ndarray:
    """A small piece at the top left, and a large one at the bottom right."""
    bits = np.zeros((300, 400), bool)
    bits[5:25, 5:25] = True
    bits[150:290, 200:390] = True
    return bits


def test_the_largest_piece_is_cut_out() -> None:
    piece, corner = largest_piece(two_pieces())
    assert piece.shape == (140, 190)
    assert piece.all()
    assert corner == (150, 200)
    assert not largest_piece(np.zeros((4, 4), bool))[0].any()


def test_a_name_is_inside_the_largest_piece_and_the_next_one_beside_it() -> None:
    canvas = Canvas(torch.zeros(3, 300, 400), 400)
    assert name_mask(canvas, "kite", two_pieces(), BLUE)
    assert name_mask(canvas, "kite", two_pieces(), BLUE)
    first, second = canvas.tags
    for x0, y0, x1, y1 in (first, second):
        assert 200 <= (x0 + x1) / 2 <= 390
        assert 150 <= (y0 + y1) / 2 <= 290
    assert (
        first[0] > second[2] or second[0] > first[2] or first[1] > second[3] or second[1] > first[3]
    )


def test_a_small_piece_has_its_name_beside_it() -> None:
    canvas = Canvas(torch.zeros(3, 300, 400), 400)
    bits = np.zeros((300, 400), bool)
    bits[100:110, 100:110] = True
    assert name_mask(canvas, "bird", bits, BLUE)
    assert canvas.tags[0][3] <= 100  # above it


def test_a_name_leaves_a_box_that_stray_pixels_stretch() -> None:
    bits = two_pieces()
    for mask, left in ((bits, 200), (bits[150:, 200:], 0)):
        canvas = Canvas(torch.zeros(3, *mask.shape), max(mask.shape))
        rows, columns = np.nonzero(mask)
        box = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
        assert name_mask(canvas, "kite", mask, BLUE, box)
        assert canvas.tags[0][0] == left


def test_a_colour_that_two_masks_share_tints_a_pixel_once() -> None:
    masks = torch.ones(2, 30, 30, dtype=torch.bool)
    boxes = torch.tensor([[0.0, 0, 30, 30]]).repeat(2, 1)
    two = Instances(boxes, torch.tensor([0.9, 0.8]), torch.tensor([1, 1]), masks)
    look = {"boxes": False, "names": False, "side": 30}
    image = torch.full((3, 30, 30), 0.5)
    twice = plotting.overlay(image, two, shades={0: BLUE, 1: BLUE}, **look)
    once = plotting.overlay(image, two[:1], shades={0: BLUE}, **look)
    assert (twice == once).all()
    assert (plotting.overlay(image, two, **look) != once).any()
