"""The confusion matrix and the FCN paper's four figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seglib.errors import SeglibError
from seglib.metrics import SemanticEvaluator, confusion_matrix
from seglib.structures import Categories
from tests.helpers import golden

CATEGORIES = Categories.from_coco([{"id": i, "name": n} for i, n in ((1, "cat"), (3, "sea"))])


def test_golden() -> None:
    (case,) = golden("fcn_metrics").values()
    truth, prediction = torch.tensor(case["in"]["gt"]), torch.tensor(case["in"]["pred"])
    classes = int(case["par"]["num_classes"])
    ignore = int(case["par"]["ignore_label"])
    expected = case["out"]
    matrix = confusion_matrix(prediction, truth, classes, ignore)
    assert matrix.tolist() == expected["confusion"].tolist()

    names = [{"id": i, "name": f"class {i}"} for i in range(1, classes)]
    evaluator = SemanticEvaluator(Categories.from_coco(names))
    for labels, true in zip(prediction, truth, strict=True):
        evaluator.update(labels, true)
    result = evaluator.compute()
    for name in ("pixel_accuracy", "mean_accuracy", "mean_iou", "freq_weighted_iou"):
        assert getattr(result, name) == pytest.approx(float(expected[name]), abs=1e-6), name
    ious = [-1 if math.isnan(iou) else iou for iou in result.class_iou.values()]
    np.testing.assert_allclose(ious, expected["class_iou"], rtol=0, atol=1e-6)


def test_by_hand_with_a_class_absent_from_both() -> None:
    truth = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 255]])
    labels = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 2]])  # the 2 lies under an ignored pixel
    evaluator = SemanticEvaluator(CATEGORIES)
    evaluator.update(labels, truth)
    result = evaluator.compute()
    assert result.confusion.tolist() == [[3, 1, 0], [1, 2, 0], [0, 0, 0]]
    assert result.pixel_accuracy == pytest.approx(5 / 7)
    assert result.mean_accuracy == pytest.approx((3 / 4 + 2 / 3) / 2)
    assert result.class_iou["background"] == pytest.approx(3 / 5)
    assert result.class_iou["cat"] == pytest.approx(2 / 4)
    assert math.isnan(result.class_iou["sea"])
    assert result.mean_iou == pytest.approx((3 / 5 + 1 / 2) / 2)
    assert result.freq_weighted_iou == pytest.approx(4 / 7 * 3 / 5 + 3 / 7 * 1 / 2)


def test_a_class_only_predicted_lowers_the_mean_iou_but_not_the_mean_accuracy() -> None:
    evaluator = SemanticEvaluator(CATEGORIES)
    evaluator.update(torch.tensor([[1, 2]]), torch.tensor([[1, 1]]))
    result = evaluator.compute()
    assert result.class_iou["sea"] == 0.0
    assert result.mean_iou == pytest.approx((0.5 + 0.0) / 2)
    assert result.mean_accuracy == 0.5


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), classes=st.integers(1, 5))
def test_every_counted_pixel_is_in_the_table_once(seed: int, classes: int) -> None:
    rng = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (2, 7, 5), generator=rng)
    labels = torch.randint(0, classes, (2, 7, 5), generator=rng)
    truth[torch.rand(truth.shape, generator=rng) < 0.2] = 255
    matrix = confusion_matrix(labels, truth, classes)
    for i in range(classes):
        for j in range(classes):
            assert matrix[i, j] == ((truth == i) & (labels == j)).sum()
    assert matrix.sum() == (truth != 255).sum()
    assert (confusion_matrix(truth, truth, classes).diag().sum()) == (truth != 255).sum()


def test_without_counted_pixels_it_is_undefined() -> None:
    result = SemanticEvaluator(CATEGORIES).compute()
    assert math.isnan(result.mean_iou)
    assert math.isnan(result.pixel_accuracy)


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(SeglibError, match="original size"):
        confusion_matrix(torch.zeros(2, 3), torch.zeros(3, 2), 2)
    with pytest.raises(SeglibError, match=r"predicted labels run 0…7, expected 0…2"):
        SemanticEvaluator(CATEGORIES).update(torch.tensor([[7, 0]]), torch.tensor([[0, 1]]))
    with pytest.raises(SeglibError, match="true labels"):
        SemanticEvaluator(CATEGORIES).update(torch.tensor([[0, 0]]), torch.tensor([[0, 9]]))
