"""RoIAlign and RoI pooling refuse the same arguments and read the image index alike."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seglib import SeglibError, ops
from tests.parity import random

Body = Callable[..., Tensor]
OPERATIONS = {"roi_align": ops.roi_align, "roi_pool": ops.roi_pool}


@pytest.fixture(params=OPERATIONS)
def operation(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=["naive", "scratch", "native"])
def body(request: pytest.FixtureRequest, operation: str) -> Body:
    return getattr(OPERATIONS[operation], request.param)


def test_rois_and_sizes_that_do_not_fit_are_refused(body: Body) -> None:
    features = torch.zeros(1, 2, 4, 4)
    with pytest.raises(SeglibError, match=r"\[3, 4\]"):
        body(features, torch.zeros(3, 4), 7)
    with pytest.raises(SeglibError, match="batch of 1"):
        body(features, torch.tensor([[1.0, 0, 0, 2, 2]]), 7)
    with pytest.raises(SeglibError, match="output_size"):
        body(features, torch.zeros(3, 5), 0)


@pytest.mark.parametrize("column", [0, 3])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_rois_that_are_not_finite_are_refused(
    operation: str, body: Body, column: int, wrong: float
) -> None:
    rois = torch.tensor([[0.0, 0, 0, 2, 2], [0, 0, 0, 2, 2]])
    rois[1, column] = wrong
    with pytest.raises(SeglibError, match=f"{operation} needs finite rois, row 1 is"):
        body(torch.zeros(1, 2, 4, 4), rois, 2)


@pytest.mark.parametrize(
    "features", [torch.zeros(1, 2, 0, 4), torch.zeros(1, 2, 4, 4, dtype=torch.int64)]
)
def test_features_without_cells_or_of_integers_are_refused(
    operation: str, body: Body, features: Tensor
) -> None:
    with pytest.raises(SeglibError, match=f"{operation} needs float features with cells"):
        body(features, torch.tensor([[0.0, 0, 0, 2, 2]]), 2)


def test_an_image_index_is_rounded_down(body: Body) -> None:
    features, box = random(2, 5, 6, 7), torch.tensor([[1.5, 0, 0, 5, 5]])
    assert torch.equal(body(features, box, 2), body(features, box.floor(), 2))
