"""Assignment at least cost: by hand, against all permutations and SciPy."""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seglib import SeglibError, ops

BODIES = (ops.hungarian.scratch, ops.hungarian.native)


def cheapest(cost: Tensor) -> float:
    """The least total cost of all ways to give every row a column of its own."""
    rows, columns = cost.shape
    ways = permutations(range(columns), rows)
    return min(sum(float(cost[r, c]) for r, c in enumerate(way)) for way in ways)


@pytest.mark.parametrize("body", BODIES)
def test_the_cheapest_column_is_left_to_the_row_that_needs_it_most(body) -> None:
    # Greedily, row 0 takes column 0 (1) and row 1 is left with 9: 10. The best sum is 2 + 3.
    assert body(torch.tensor([[1.0, 2.0], [3.0, 9.0]])).tolist() == [[0, 1], [1, 0]]
    # Rows without a column are left out, and columns without a row.
    assert body(torch.tensor([[5.0], [1.0], [3.0]])).tolist() == [[1], [0]]
    assert body(torch.tensor([[5.0, 1.0, 3.0]])).tolist() == [[0], [1]]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (3, 6), (5, 2)])
def test_no_permutation_is_cheaper(body, shape: tuple[int, int]) -> None:
    for seed in range(10):
        cost = torch.randn(shape, generator=torch.Generator().manual_seed(seed)).double()
        rows, columns = body(cost)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert len(set(columns.tolist())) == len(columns) == min(shape)
        small = cost if shape[0] <= shape[1] else cost.T
        assert float(cost[rows, columns].sum()) == pytest.approx(cheapest(small), abs=1e-9)


@pytest.mark.parametrize("shape", [(100, 30), (30, 100), (60, 60)])
def test_large_problems_equal_scipy(shape: tuple[int, int]) -> None:
    cost = torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = ops.hungarian.scratch(cost)
    assert found.numpy().tolist() == [part.tolist() for part in linear_sum_assignment(cost.numpy())]


@pytest.mark.parametrize("body", BODIES)
def test_equal_costs_and_integers_are_paired_as_cheaply(body) -> None:
    for seed in range(10):
        cost = torch.randint(0, 3, (5, 6), generator=torch.Generator().manual_seed(seed)).double()
        rows, columns = body(cost)
        assert float(cost[rows, columns].sum()) == cheapest(cost)


@pytest.mark.parametrize("body", BODIES)
def test_without_rows_or_columns_there_are_no_pairs(body) -> None:
    for shape in ((0, 3), (3, 0), (0, 0)):
        assert body(torch.zeros(shape)).shape == (2, 0)


@pytest.mark.parametrize("body", BODIES)
def test_costs_that_are_not_numbers_are_refused(body) -> None:
    with pytest.raises(SeglibError, match="finite costs"):
        body(torch.tensor([[float("nan")]]))
    with pytest.raises(SeglibError, match=r"costs \[N, M\], got \[3\]"):
        body(torch.zeros(3))
