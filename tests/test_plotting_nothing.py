"""Figures of empty or invalid input raise a SeglibError that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable

import matplotlib as mpl
import pytest
import torch

import seglib.plotting as plotting
from seglib.errors import SeglibError
from seglib.structures import Instances, Target

IMAGE = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(0))
NONE, NO_BOX, BOX = torch.zeros(0), torch.zeros(0, 4), (5, 5, 9, 9)
NAN = float("nan")


def coverage_of_no_counts() -> plotting.Figure:
    labels, masks = torch.zeros(0, dtype=torch.int64), torch.zeros(0, 40, 48, dtype=torch.bool)
    target = Target(NO_BOX, labels, masks, labels.bool(), NONE, (40, 48))
    return plotting.show_coverage(IMAGE, Instances(NO_BOX, NONE, labels, masks), target, counts=())


NOTHING: dict[str, Callable[[], plotting.Figure]] = {
    "a figure of no panel": lambda: plotting.figure(0),
    "ap_by_iou": lambda: plotting.ap_by_iou({}, [0.5]),
    "window labels": lambda: plotting.show_window_labels(IMAGE, {}, BOX),
    "window scores": lambda: plotting.show_window_scores(IMAGE, {}),
    "coverage": coverage_of_no_counts,
    "flow diagram": lambda: plotting.flow_diagram([]),
    "histogram": lambda: plotting.histogram({}),
    "differences": lambda: plotting.show_differences({}),
    "feature maps": lambda: plotting.feature_maps(torch.zeros(2, 0, 4)),
}
WRONG: dict[str, tuple[str, Callable[[], plotting.Figure]]] = {
    "histogram of nan": ("finite", lambda: plotting.histogram([NAN])),
    "histogram of 0, log": ("above 0", lambda: plotting.histogram([0.0, 1.0], log=True)),
    "labels of no window": (
        "'a' needs windows",
        lambda: plotting.show_window_labels(IMAGE, {"a": (NO_BOX, NONE)}, BOX),
    ),
    "scores of no window": (
        "'a' needs windows",
        lambda: plotting.show_window_scores(IMAGE, {"a": (NO_BOX, NONE)}),
    ),
    "unequal counts": (
        "2 boxes, but 1 corrected",
        lambda: plotting.show_corrections(IMAGE, torch.ones(2, 4), torch.ones(1, 4)),
    ),
    "stride 0": ("stride=0", lambda: plotting.show_roi_reading(IMAGE, BOX, 0)),
    "no bins": ("bins=0", lambda: plotting.show_roi_reading(IMAGE, BOX, 8, 0)),
    "no samples": ("samples=0", lambda: plotting.show_roi_reading(IMAGE, BOX, 8, 2, 0)),
    "roi of nan": ("four finite", lambda: plotting.show_roi_reading(IMAGE, [NAN] * 4, 8)),
    "no pixel": (r"\[0, 5, 3\]", lambda: plotting.show_images([torch.zeros(3, 0, 5)])),
}


@pytest.mark.parametrize("name", NOTHING)
def test_empty_input_is_refused(name: str) -> None:
    with pytest.raises(SeglibError, match="nothing to draw: give at least one"):
        NOTHING[name]()


@pytest.mark.parametrize("name", WRONG)
def test_invalid_input_is_named(name: str) -> None:
    message, draw = WRONG[name]
    with pytest.raises(SeglibError, match=message):
        draw()


@pytest.mark.parametrize("ceiling", [{}, {"other": 0.5}, {"a": NAN}])
def test_ceilings_without_a_bar_are_not_drawn(ceiling: dict[str, float]) -> None:
    fig = plotting.bars({"a": 0.1, "b": 0.3}, ceiling=ceiling)
    assert fig.png() == plotting.bars({"a": 0.1, "b": 0.3}).png()


def test_an_empty_group_of_a_histogram_has_no_share() -> None:
    fig = plotting.histogram({"a": [1.0, 2.0], "b": []}, bins=2)
    heights = [bar.get_height() for bar in fig.axes[0].findobj(mpl.patches.Rectangle)[:4]]
    assert heights == [0.5, 0.5, 0.0, 0.0]
