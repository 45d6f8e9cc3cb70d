"""R-CNN of 2014: each part by hand or against another solver, then all of it on three colours."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import scipy.optimize
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglib import SeglibError
from seglib.models.fcn import FCN
from seglib.models.fcn.config import FCNConfig
from seglib.models.rcnn import RCNN, proposals_of
from seglib.models.rcnn.config import RCNNConfig
from seglib.models.rcnn.cost import StepCost
from seglib.models.rcnn.fitting import region_signs, regression_targets
from seglib.models.rcnn.linear_fits import Linear, fit_ridge, fit_svm, fit_svm_mining, svm_objective
from seglib.models.rcnn.warp import context_windows, warp_regions
from seglib.ops.boxes import decode_deltas
from seglib.structures import Categories, Instances, Prediction, Target

CATEGORIES = Categories.from_coco(
    [{"id": n, "name": name} for n, name in enumerate(("red", "green", "blue", "unseen"), 1)]
)
IMAGE = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# Warping


def test_the_warp_of_an_exact_window_is_a_resize() -> None:
    crops = warp_regions(IMAGE, torch.tensor([[4.0, 2, 14, 17], [0, 0, 30, 20]]), 8, context=0)
    for crop, part in zip(crops, (IMAGE[:, 2:17, 4:14], IMAGE), strict=True):
        expected = F.interpolate(part[None], (8, 8), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(crop, expected)


def test_context_widens_the_window_so_that_the_box_keeps_the_middle() -> None:
    # The paper's 16 of 227 px: the window is 227 / 195 of the box in both directions.
    windows = context_windows(torch.tensor([[100.0, 100, 295, 490]]), 227, 16)
    assert windows.tolist() == [[84, 68, 311, 522]]
    with pytest.raises(SeglibError, match="no room"):
        context_windows(torch.zeros(1, 4), 32, 16)


def test_outside_the_image_is_the_fill_colour() -> None:
    boxes = torch.tensor([[-10.0, 0, 10, 20], [40, 5, 50, 15], [3, 3, 3, 3]])
    half, outside, empty = warp_regions(IMAGE, boxes, 20, context=0, fill=(0.1, 0.2, 0.3))
    color = torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    torch.testing.assert_close(half[:, :, 10:], IMAGE[:, :, :10])
    torch.testing.assert_close(half[:, :, :10], color.expand(3, 20, 10))
    torch.testing.assert_close(outside, color.expand(3, 20, 20))
    torch.testing.assert_close(empty, IMAGE[:, 3:4, 3:4].expand(3, 20, 20))


# Linear fits


def test_an_svm_by_hand() -> None:
    # ½w² + 2·C·(1 - w)² has its minimum at w = 4C / (1 + 4C).
    model = fit_svm(torch.tensor([[1.0], [-1.0]]), torch.tensor([1, -1]), cost=0.25)
    assert model.weight.item() == pytest.approx(0.5, abs=1e-5)
    assert model.bias.item() == pytest.approx(0, abs=1e-5)


def test_the_svm_has_the_minimum_that_scipy_finds() -> None:
    features = random(60, 5)
    signs = torch.where(features[:, 0] + 0.5 * random(60, seed=1) > 0.3, 1, -1)

    def objective(values: np.ndarray) -> float:
        model = Linear(torch.from_numpy(values[:5]), torch.tensor(values[5]))
        return svm_objective(model, features, signs, 0.7, 2.0).item()

    reference = scipy.optimize.minimize(objective, np.zeros(6), method="BFGS", tol=1e-9)
    found = fit_svm(features, signs, cost=0.7, positive_weight=2.0)
    assert objective(np.append(found.weight.numpy(), found.bias.item())) <= reference.fun + 1e-8
    np.testing.assert_allclose(found.weight.numpy(), reference.x[:5], atol=1e-4)


def test_mining_hard_negatives_loses_nothing() -> None:
    features = random(900, 8)
    signs = torch.where(features[:, 0] > 1.6, 1, -1)
    signs[features[:, 0].abs() < 0.1] = 0
    whole = fit_svm(features[signs != 0], signs[signs != 0], cost=0.1)
    mined = fit_svm_mining(features, signs, cost=0.1, rounds=10, first=30)
    assert mined.cached[0] == 30
    assert all(a < b for a, b in pairwise(mined.cached))
    assert 30 < mined.cached[-1] < int((signs < 0).sum())
    torch.testing.assert_close(mined.model.weight, whole.weight, atol=1e-4, rtol=0)


def test_an_svm_needs_both_signs() -> None:
    with pytest.raises(SeglibError, match="both present"):
        fit_svm(random(3, 2), torch.ones(3), cost=1.0)


@pytest.mark.parametrize(("count", "width"), [(40, 6), (6, 40)])
def test_ridge_is_the_closed_form(count: int, width: int) -> None:
    features, targets = random(count, width) + 3, random(count, 4, seed=1) - 2
    found = fit_ridge(features, targets, ridge=2.5)
    # numpy: the bias is the weight of a column of ones, which has no penalty.
    x = np.hstack([features.numpy(), np.ones((count, 1))])
    penalty = 2.5 * np.diag([1.0] * width + [0.0])
    solution = np.linalg.solve(x.T @ x + penalty, x.T @ targets.numpy())
    np.testing.assert_allclose(found.weight.numpy(), solution[:-1], rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.bias.numpy(), solution[-1], rtol=1e-8, atol=1e-10)


def test_a_ridge_without_examples_corrects_nothing() -> None:
    found = fit_ridge(torch.zeros(0, 7), torch.zeros(0, 4), ridge=1.0)
    boxes = torch.tensor([[1.0, 2, 5, 8]])
    assert decode_deltas(boxes, found(torch.ones(1, 7))).tolist() == boxes.tolist()


# Examples


def target(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> Target:
    corners = torch.tensor(boxes, dtype=torch.float32).view(-1, 4)
    count = len(boxes)
    return Target(
        corners,
        torch.tensor(labels, dtype=torch.int64),
        torch.zeros(count, 20, 30, dtype=torch.bool),
        torch.tensor(crowd or [False] * count, dtype=torch.bool),
        (corners[:, 2:] - corners[:, :2]).prod(1),
        (20, 30),
    )


def test_which_region_is_an_example_of_which_class() -> None:
    truth = target(
        [[0, 0, 10, 10], [20, 0, 30, 10], [0, 10, 4, 20]], [1, 2, 2], [False, False, True]
    )
    proposals = torch.tensor([[0.0, 0, 10, 9], [0, 0, 10, 2.9], [20, 0, 30, 3.1], [0, 10, 4, 19]])
    signs = region_signs(torch.cat([truth.boxes, proposals]), truth, classes=3)
    assert signs.tolist() == [
        [1, -1, -1],
        [-1, 1, -1],
        [-1, 0, -1],  # the crowd itself
        [0, -1, -1],  # 0.9 of an object of class 1: no positive, though it nearly fits
        [-1, -1, -1],  # 0.29
        [-1, 0, -1],  # 0.31
        [-1, 0, -1],  # on the crowd
    ]
    assert region_signs(proposals, target([], []), classes=2).tolist() == [[-1, -1]] * 4


def test_regression_learns_from_regions_that_nearly_fit() -> None:
    truth = target([[0, 0, 10, 10], [20, 0, 30, 10]], [1, 2], [False, True])
    boxes = torch.tensor([[0.0, 0, 10, 8], [0, 0, 10, 6], [20, 0, 30, 9]])
    labels, deltas = regression_targets(boxes, truth, min_iou=0.6)
    assert labels.tolist() == [1, 0, 0]  # IoU 0.8, exactly 0.6, a crowd
    torch.testing.assert_close(decode_deltas(boxes[:1], deltas[:1]), truth.boxes[:1])
    assert not deltas[1:].any()
    assert regression_targets(boxes, target([], []), 0.6)[0].tolist() == [0, 0, 0]


# The pipeline


def scene(seed: int) -> tuple[Tensor, Target]:
    """A red, a green and a blue square on grey, 64 x 64."""
    rng = torch.Generator().manual_seed(seed)
    image, boxes = torch.full((3, 64, 64), 0.5), []
    for number in range(3):
        side = int(torch.randint(10, 18, (), generator=rng))
        x = 2 + 20 * number + int(torch.randint(0, 20 - side, (), generator=rng))
        y = int(torch.randint(2, 62 - side, (), generator=rng))
        image[:, y : y + side, x : x + side] = 0.1
        image[number, y : y + side, x : x + side] = 0.9
        boxes.append([float(x), y, x + side, y + side])
    truth = target(boxes, [1, 2, 3])
    return image + 0.02 * torch.rand(3, 64, 64, generator=rng), truth


@pytest.fixture(scope="module")
def rcnn() -> RCNN:
    """Average colours of a 4 x 4 grid suffice as features for coloured squares."""
    config = RCNNConfig(crop_size=16, context=2.0, max_proposals=60, svm_cost=0.1, ridge=1.0)
    scenes = [scene(seed) for seed in range(3)]
    return RCNN(nn.AvgPool2d(4), CATEGORIES, config=config).fit(
        [image for image, _ in scenes], [truth for _, truth in scenes]
    )


def test_the_pipeline_learns_three_colours(rcnn: RCNN) -> None:
    assert rcnn.parts is not None
    rcnn.cost = StepCost()
    for seed in (10, 11):
        image, truth = scene(seed)
        found = rcnn.predict(image).instances
        assert isinstance(found, Instances)
        assert sorted(found.labels[:3].tolist()) == [1, 2, 3]
        ordered = found.boxes[:3][found.labels[:3].argsort()]
        torch.testing.assert_close(ordered, truth.boxes, atol=2.0, rtol=0)
        assert (found.scores[:3] > 0.5).all()
        assert 4 not in found.labels  # of which nobody ever saw an example
    assert rcnn.cost.images == 2
    assert list(rcnn.cost.per_image()) == [
        "propose", "warp", "features", "classify", "regress", "select",
    ]  # fmt: skip


def test_predict_is_the_steps_one_after_another(rcnn: RCNN) -> None:
    image, _ = scene(10)
    before = rcnn.cost.forward_passes
    boxes = rcnn.propose(image)
    crops = rcnn.warp(image, boxes)
    features = rcnn.features(crops)
    assert crops.shape == (len(boxes), 3, 16, 16)
    assert features.shape == (len(boxes), 3 * 4 * 4)
    assert rcnn.classify(features).shape == (len(boxes), 4)
    assert rcnn.regress(boxes, features).shape == (len(boxes), 4, 4)
    assert rcnn.cost.forward_passes == before + len(boxes)
    margins = rcnn.classify(features)
    best = rcnn.predict(image).instances
    assert best is not None
    assert best.scores[0].item() == pytest.approx(margins.max().sigmoid().item(), abs=1e-6)


def test_an_image_without_proposals_has_no_detections(
    rcnn: RCNN, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rcnn, "proposer", lambda image: torch.zeros(0, 4))
    prediction = rcnn.predict(scene(0)[0])
    assert prediction.instances is not None
    assert len(prediction.instances) == 0


def test_errors_that_a_user_can_correct() -> None:
    rcnn = RCNN(nn.AvgPool2d(4), CATEGORIES)
    with pytest.raises(SeglibError, match="fit"):
        rcnn.predict(scene(0)[0])
    with pytest.raises(SeglibError, match="1 images but 0 targets"):
        rcnn.fit([IMAGE], [])
    image, truth = scene(0)
    with pytest.raises(SeglibError, match="no object"):
        rcnn.fit([image], [truth[:0]])
    fcn = FCN(FCNConfig.pocket(), CATEGORIES)
    with pytest.raises(SeglibError, match="no proposals"):
        proposals_of(fcn)


def test_a_model_with_proposals_is_a_proposer() -> None:
    class Corner(FCN):
        tasks = ("proposals",)

        def predict(self, images: list[Tensor]) -> list[Prediction]:  # type: ignore[override]
            boxes = torch.tensor([[0.0, 0, 5, 5]])
            proposals = Instances(boxes, torch.ones(1), torch.ones(1, dtype=torch.int64))
            return [Prediction((20, 30), CATEGORIES, proposals=proposals)]

    propose = proposals_of(Corner(FCNConfig.pocket(), CATEGORIES))
    assert propose(IMAGE).tolist() == [[0, 0, 5, 5]]
