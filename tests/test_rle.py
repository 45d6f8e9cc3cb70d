"""Run lengths equal to those of pycocotools, in both forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pycocotools import mask as coco_mask

from seglib.errors import SeglibError
from seglib.ops import rle
from seglib.ops.boxes import xyxy_to_xywh
from seglib.ops.masks import mask_iou, masks_to_boxes
from tests.helpers import golden

masks = st.tuples(st.integers(1, 17), st.integers(1, 17)).flatmap(
    lambda size: arrays(np.bool_, size, elements=st.booleans())
)


def reference(mask: np.ndarray) -> dict:
    return coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_columns_first_and_zeros_first():
    assert rle.encode(torch.tensor([[0, 1], [1, 0]]).bool()).counts == [1, 2, 1]
    assert rle.encode(torch.ones(2, 3).bool()).counts == [0, 6]
    assert rle.encode(torch.zeros(2, 3).bool()).counts == [6]
    assert rle.decode(rle.RLE((2, 2), [1, 2, 1])).tolist() == [[False, True], [True, False]]


def test_string_by_hand():
    # 40 is 8 + 32 * 1: "X" is 48 + 8 and 32 for "more follows", then "1". The fourth count is
    # written as its difference from the second, 3 - 40.
    assert rle.to_string(rle.RLE((6, 9), [1, 40, 10, 3])) == "1X1:kN"
    assert rle.from_string("1X1:kN", (6, 9)).counts == [1, 40, 10, 3]


@given(masks)
@settings(max_examples=100, deadline=None)
def test_equal_to_pycocotools(mask):
    encoded = rle.encode(torch.from_numpy(mask))
    text = reference(mask)["counts"]
    assert rle.to_string(encoded).encode() == text
    assert rle.from_string(text, mask.shape) == encoded
    assert rle.area(encoded) == mask.sum()
    np.testing.assert_array_equal(rle.decode(encoded).numpy(), mask)


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=9))
@settings(max_examples=100, deadline=None)
def test_strings_can_represent_any_counts(counts):
    whole = rle.RLE((1, sum(counts)), counts)
    assert rle.from_string(rle.to_string(whole), whole.size) == whole


@given(masks, st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_iou_without_decoding(mask, seed):
    other = np.random.default_rng(seed).random(mask.shape) < 0.4
    pair = torch.from_numpy(np.stack([mask, other]))
    runs = [rle.encode(m) for m in pair]
    crowds = [True, False]
    expected = mask_iou(pair, pair, torch.tensor(crowds))
    assert torch.equal(rle.iou(runs, runs, crowds), expected)
    theirs = coco_mask.iou([reference(mask)] * 2, [reference(other)] * 2, [0, 0])
    assert rle.iou(runs[:1], runs[1:]).item() == pytest.approx(theirs[0][0], abs=1e-12)


def test_zero_runs_are_read():
    assert rle.decode(rle.RLE((1, 4), [1, 0, 1, 2])).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("counts", [[3], [1, 2, 3], [5, -1], [10**30], [2**62] * 4 + [4]])
def test_counts_that_do_not_fill_the_mask_are_refused(counts):
    with pytest.raises(SeglibError, match="add up"):
        rle.decode(rle.RLE((2, 2), counts))


@pytest.mark.parametrize("text", ["", "\x01", "1X", "o" * 20 + "1", "é1"])
def test_foreign_strings_are_refused(text):
    with pytest.raises(SeglibError, match="malformed"):
        rle.from_string(text, (6, 9))


def test_strings_for_another_size_are_refused():
    with pytest.raises(SeglibError, match="54 pixels"):
        rle.from_string("1X1:kN", (6, 8))


def test_iou_of_different_sizes_is_refused():
    with pytest.raises(SeglibError, match="different sizes"):
        rle.iou([rle.RLE((2, 2), [4])], [rle.RLE((2, 3), [6])])


def test_golden_counts_and_iou():
    case = golden("coco_masks")["basic"]
    masks = torch.from_numpy(case["out"]["masks"]).bool()
    runs = [rle.encode(mask) for mask in masks]
    for index, encoded in enumerate(runs):
        assert encoded.counts == case["out"][f"rle_counts_{index}"].tolist()
    assert [rle.area(r) for r in runs] == case["out"]["area"].tolist()
    boxes = xyxy_to_xywh(masks_to_boxes(masks))
    assert boxes.tolist() == case["out"]["bbox_xywh"].tolist()
    iou = rle.iou(runs, runs, case["in"]["iscrowd"].astype(bool).tolist())
    np.testing.assert_allclose(iou.numpy(), case["out"]["iou"], rtol=0, atol=1e-6)
