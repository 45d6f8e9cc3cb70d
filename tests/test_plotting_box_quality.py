"""Figures of box quality show the numbers that they are given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from seglib.errors import SeglibError
from seglib.plotting import (
    ap_by_iou,
    correction_curve,
    show_box_quality,
    show_differences,
    show_iou_histograms,
)
from seglib.plotting.box_quality import BANDS, best_overlaps
from seglib.plotting.quality_curves import binned_means
from seglib.plotting.style import BLUE, GREEN, GREY, VERMILION
from tests.figures import words

IMAGE = torch.linspace(0, 1, 3 * 32 * 48).reshape(3, 32, 48)
TRUTH = torch.tensor([[0.0, 0, 20, 20], [30, 10, 40, 30]])


def test_each_box_has_the_colour_of_its_iou():
    # Widths 20, 16, 12 and 8 of the same 20 px square: IoU 1, 0.8, 0.6, 0.4.
    boxes = torch.tensor([[0.0, 0, w, 20] for w in (20, 16, 12, 8)])
    assert best_overlaps(boxes, TRUTH).tolist() == pytest.approx([1.0, 0.8, 0.6, 0.4])
    fig = show_box_quality(IMAGE, {"given": boxes, "none": boxes[:0]}, TRUTH)
    first, second = fig.axes[:2]
    drawn = {
        path.get_extents().width: to_hex(group.get_edgecolor()[0])
        for group in first.collections[1:]
        for path in group.get_paths()
    }
    shades = [shade.lower() for _, shade in BANDS.values()]
    assert drawn == {8.0: shades[0], 12.0: shades[1], 16.0: shades[2], 20.0: shades[3]}
    truth, *others = second.collections
    assert to_hex(truth.get_edgecolor()[0]) == GREEN.lower()
    assert not any(group.get_paths() for group in others)
    assert {"given\nmean IoU 0.70", "none\nno box", "truth", *BANDS} <= set(words(fig))


def test_rounding_does_not_push_a_box_out_of_its_band():
    aside = torch.tensor([[20 / 3, 0.0, 80 / 3, 20]])  # IoU 0.5 except for rounding
    fig = show_box_quality(IMAGE, {"aside": aside}, TRUTH[:1])
    filled = [group for group in fig.axes[0].collections[1:] if group.get_paths()]
    shades = [to_hex(group.get_edgecolor()[0]) for group in filled]
    assert shades == [BANDS["0.5 to 0.7"][1].lower()]
    assert "aside\nIoU 0.50" in words(fig)


def test_without_a_true_box_every_overlap_is_zero():
    assert best_overlaps(TRUTH, torch.zeros(0, 4)).tolist() == [0, 0]


def test_a_histogram_counts_what_reaches_its_threshold():
    values = {"first": [0.1, 0.5, 0.62, 0.99, 1.0], "second": torch.tensor([0.2, 0.3])}
    fig = show_iou_histograms(values, {"first": 0.6, "second": 0.6})
    first, second = fig.axes[:2]
    (reached,) = [p for p in first.patches if to_hex(p.get_facecolor()) == VERMILION.lower()]
    shares, edges, _ = reached.get_data()
    heights = {round(x, 2): y for x, y in zip(edges[:-1], shares, strict=True) if y}
    assert heights == pytest.approx({0.6: 0.2, 0.95: 0.4})
    assert first.get_xlabel() == "IoU\n3 of 5 reach 0.6 (60%)"
    assert second.get_xlabel() == "IoU\n0 of 2 reach 0.6 (0%)"
    assert first.get_ylim() == second.get_ylim()


def test_a_histogram_needs_neither_a_threshold_nor_values():
    fig = show_iou_histograms({"all": [0.5, 0.6], "none": torch.zeros(0)}, {"none": 0.5})
    assert fig.axes[0].get_xlabel() == "IoU"
    assert "0 of 0" in fig.axes[1].get_xlabel()


def test_bins_with_few_values_are_left_out():
    x, y = binned_means([0.41, 0.43, 0.9], [0.5, 0.7, 1.0], np.array([0.4, 0.5, 1.0]), least=2)
    assert x.tolist() == pytest.approx([0.42])
    assert y.tolist() == pytest.approx([0.6])


def test_corrections_are_averaged_over_boxes_of_similar_iou():
    before = torch.tensor([0.51, 0.53, 0.71, 0.73])
    fig = correction_curve(before, {"head": before + 0.1}, least=2)
    unchanged, head = fig.axes[0].lines
    assert unchanged.get_xdata().tolist() == unchanged.get_ydata().tolist()
    assert head.get_ydata().tolist() == pytest.approx([0.62, 0.82])
    unchanged, head = (
        correction_curve(before, {"head": before + 0.1}, least=2, change=True).axes[0].lines
    )
    assert unchanged.get_ydata().tolist() == [0, 0]
    assert head.get_ydata().tolist() == pytest.approx([0.1, 0.1])
    with pytest.raises(SeglibError, match="'head' has 1 boxes"):
        correction_curve(before, {"head": [0.5]})


def test_ap_is_drawn_for_every_threshold_and_panel():
    fig = ap_by_iou({"a": {"one": [0.5, 0.25]}, "b": {"two": [0.4, 0.1]}}, [0.5, 0.75])
    first, second = fig.axes
    assert first.lines[0].get_xydata().tolist() == [[0.5, 0.5], [0.75, 0.25]]
    assert second.lines[0].get_label() == "two"
    assert first.get_ylim() == second.get_ylim()
    with pytest.raises(SeglibError, match="'one' has 1 APs"):
        ap_by_iou({"a": {"one": [0.5]}}, [0.5, 0.75])


def test_a_difference_that_may_be_zero_is_grey():
    fig = show_differences({"AP": (0.03, 0.01, 0.05), "AP50": (0.0, -0.02, 0.02)}, title="t")
    _, sure, its_mean, unsure, _ = fig.axes[0].lines
    assert list(sure.get_xdata()) == [0.01, 0.05]
    assert list(its_mean.get_xdata()) == [0.03]
    assert (sure.get_color(), unsure.get_color()) == (BLUE, GREY)
    assert {"AP", "AP50", "t"} <= set(words(fig))
    with pytest.raises(SeglibError, match="nothing to draw"):
        show_differences({})
