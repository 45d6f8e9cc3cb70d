"""The assignment problem: pair rows with columns, each at most once, at the lowest total cost."""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from seglib.errors import SeglibError
from seglib.primitives import primitive

FREE = -1


def _scratch_hungarian(cost: Tensor) -> Tensor:
    """Row after row joins the pairing along the cheapest chain of exchanges: O(n² m).

    Every row and column has a price, and no pair costs less than the prices of its row and column
    together. A pair whose cost equals this sum is tight; a pairing of tight pairs is the cheapest.
    A new row looks for a free column through tight pairs. If there is none, prices change just
    enough to make one more pair tight (Kuhn 1955, Munkres 1957; in the form of Jonker and Volgenant
    1987).
    """
    _check(cost)
    if cost.shape[0] > cost.shape[1]:  # the fewer of the two are placed one by one
        return _sorted_by_row(_scratch_hungarian(cost.T).flip(0))
    costs = cost.detach().double().cpu().numpy()
    row_price, column_price = np.zeros(len(costs)), np.zeros(costs.shape[1])
    row_of = np.full(costs.shape[1], FREE)
    for row in range(len(costs)):
        _place(row, costs, row_price, column_price, row_of)
    columns = np.flatnonzero(row_of != FREE)
    pairs = torch.from_numpy(np.stack([row_of[columns], columns])).long()  # [2, K]
    return _sorted_by_row(pairs).to(cost.device)


def _place(
    row: int,
    costs: np.ndarray,
    row_price: np.ndarray,
    column_price: np.ndarray,
    row_of: np.ndarray,
) -> None:
    """Add one row to the assignment; rows that block it move on to other columns.

    Args:
        row: the row to add, which has no column yet.
        costs: [N, M].
        row_price, column_price: [N] and [M], changed in place.
        row_of: int [M], the row of every column, or FREE; changed in place.
    """
    distance = np.full(len(column_price), math.inf)  # from `row` to each column, in cost
    previous = np.full(len(column_price), FREE)  # the column from whose row it is reached
    reached = np.zeros(len(column_price), dtype=bool)
    rows, at, column, travelled = [row], row, FREE, 0.0
    while True:
        through = travelled + costs[at] - row_price[at] - column_price
        closer = ~reached & (through < distance)
        distance[closer], previous[closer] = through[closer], column
        column = int(np.where(reached, math.inf, distance).argmin())
        reached[column], travelled = True, distance[column]
        if row_of[column] == FREE:
            break
        at = row_of[column]
        rows.append(at)
    # Columns nearer than the end become cheaper and their rows dearer, so that pairs stay tight.
    moved = reached & (row_of != FREE)
    row_price[row] += travelled
    row_price[row_of[moved]] += travelled - distance[moved]
    column_price[moved] -= travelled - distance[moved]
    while previous[column] != FREE:  # walk back, and let each row take the next column
        row_of[column] = row_of[previous[column]]
        column = previous[column]
    row_of[column] = row


@primitive(scratch=_scratch_hungarian)
def hungarian(cost: Tensor) -> Tensor:
    """The pairing of rows with columns that has the lowest total cost.

    Args:
        cost: float [N, M], of any sign; no gradient flows into it.

    Returns:
        int64 [2, min(N, M)]: the rows in rising order, and the column of each, so that
        `rows, columns = hungarian(cost)`. Among pairings of equal cost, it may be any.

    Raises:
        SeglibError: cost is not [N, M], or contains NaN or infinity.
    """
    _check(cost)
    rows, columns = linear_sum_assignment(cost.detach().cpu().double().numpy())
    return torch.from_numpy(np.stack([rows, columns])).long().to(cost.device)


def _sorted_by_row(pairs: Tensor) -> Tensor:
    return pairs[:, pairs[0].argsort()]


def _check(cost: Tensor) -> None:
    if cost.ndim != 2:
        raise SeglibError(f"hungarian needs costs [N, M], got {list(cost.shape)}")
    if not cost.isfinite().all():
        raise SeglibError(
            "hungarian needs finite costs, these contain NaN or infinity: has the model that made "
            "them diverged?"
        )
