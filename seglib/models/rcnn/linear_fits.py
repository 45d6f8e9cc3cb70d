"""Linear models fitted to fixed features: R-CNN's classifiers and regressors."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from seglib.errors import SeglibError


class Linear(NamedTuple):
    """y = x · weight + bias.

    Attributes:
        weight: [D] or [D, K].
        bias: [] or [K].
    """

    weight: Tensor
    bias: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """[N, D] features -> [N] or [N, K]."""
        return features @ self.weight + self.bias


def svm_objective(
    model: Linear, features: Tensor, signs: Tensor, cost: float, positive_weight: float = 1.0
) -> Tensor:
    """½ |w|² + cost · Σ max(0, 1 - sign · margin)²: a wide margin, and few examples inside it.

    The hinge is squared, as in one of liblinear's standard losses, so that it is differentiable
    everywhere and a general solver can minimise it. An example beyond its margin still costs
    nothing.

    Args:
        model: weight [D], bias [].
        features: [N, D].
        signs: [N], +1 or -1.
        cost: C of the literature, the weight of violations relative to the margin's width.
        positive_weight: factor on the violations of the positives, which are few.

    Returns:
        the value to minimise, a scalar.
    """
    violation = F.relu(1 - signs * model(features)).square()  # [N]
    weights = torch.where(signs > 0, positive_weight, 1.0)  # [N]
    return 0.5 * model.weight.square().sum() + cost * (weights * violation).sum()


def fit_svm(
    features: Tensor,
    signs: Tensor,
    cost: float,
    positive_weight: float = 1.0,
    steps: int = 100,
    start: Linear | None = None,
) -> Linear:
    """Minimise `svm_objective`, which is convex, by L-BFGS.

    Args:
        features: [N, D].
        signs: [N], +1 or -1, both present.
        cost: see `svm_objective`.
        positive_weight: see `svm_objective`.
        steps: largest number of iterations.
        start: the model to start from; None means zeros.

    Raises:
        SeglibError: signs that are neither +1 nor -1, or all the same.
    """
    if set(signs.unique().tolist()) != {-1, 1}:
        raise SeglibError(
            f"fit_svm needs signs +1 and -1, both present, got {signs.unique().tolist()}"
        )
    first = start or Linear(features.new_zeros(features.shape[1]), features.new_zeros(()))
    model = Linear(*(value.detach().clone().requires_grad_() for value in first))
    solver = torch.optim.LBFGS(
        list(model),
        max_iter=steps,
        tolerance_grad=1e-6,
        tolerance_change=1e-10,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = svm_objective(model, features, signs, cost, positive_weight)
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(closure)
    return Linear(*(value.detach() for value in model))


class MinedSVM(NamedTuple):
    """The result of hard negative mining.

    Attributes:
        model: the classifier.
        cached: the number of negatives used in each round's fit.
    """

    model: Linear
    cached: list[int]


def fit_svm_mining(
    features: Tensor,
    signs: Tensor,
    cost: float,
    positive_weight: float = 1.0,
    rounds: int = 4,
    first: int = 500,
    seed: int = 0,
) -> MinedSVM:
    """Fit to the positives and a few negatives, add the hard negatives, and fit again.

    A negative beyond the margin (score < -1) costs nothing and does not change the classifier, so
    it can be left out. Once no negative outside the cache lies within the margin, the classifier is
    that of all examples (R-CNN, section 2.3, after Felzenszwalb et al. 2010).

    Args:
        features: [N, D].
        signs: [N], +1, -1, or 0 for examples that are neither.
        cost: see `svm_objective`.
        positive_weight: see `svm_objective`.
        rounds: largest number of fits.
        first: number of negatives sampled at random for the first fit.
        seed: seed of that sample.
    """
    positives, negatives = signs > 0, (signs < 0).nonzero().squeeze(1)  # [N], [M]
    rng = torch.Generator().manual_seed(seed)
    sample = torch.randperm(len(negatives), generator=rng).to(negatives.device)[:first]
    used = positives.clone()  # [N]
    used[negatives[sample]] = True
    model, cached = None, []
    for _ in range(rounds):
        cached.append(int((used & ~positives).sum()))
        model = fit_svm(
            features[used], signs[used].to(features), cost, positive_weight, start=model
        )
        hard = (signs < 0) & (model(features) > -1) & ~used
        if not hard.any():
            break
        used |= hard
    assert model is not None, "at least one round"
    return MinedSVM(model, cached)


def fit_ridge(features: Tensor, targets: Tensor, ridge: float) -> Linear:
    """argmin Σ |target - x · w - b|² + ridge · |w|², in closed form (R-CNN, appendix C).

    The bias has no penalty: centring features and targets removes it from the problem. The
    solution is (XᵀX + λI)⁻¹ XᵀY = Xᵀ(XXᵀ + λI)⁻¹ Y; the smaller of the two systems is solved, in
    float64.

    Args:
        features: [N, D].
        targets: [N, K].
        ridge: λ, above 0. The errors are summed over the examples, so few examples need a small λ.

    Returns:
        weight [D, K], bias [K]; both zero, which corrects nothing, if there are no examples.
    """
    count, width = features.shape
    if count == 0:
        return Linear(
            features.new_zeros(width, targets.shape[1]), targets.new_zeros(targets.shape[1])
        )
    mean_x, mean_y = features.double().mean(0), targets.double().mean(0)  # [D], [K]
    x, y = features.double() - mean_x, targets.double() - mean_y  # [N, D], [N, K]
    if count < width:
        gram = x @ x.T  # [N, N]
        weight = x.T @ torch.linalg.solve(gram + ridge * torch.eye(count).to(gram), y)  # [D, K]
    else:
        gram = x.T @ x  # [D, D]
        weight = torch.linalg.solve(gram + ridge * torch.eye(width).to(gram), x.T @ y)  # [D, K]
    return Linear(weight.to(features), (mean_y - mean_x @ weight).to(features))
