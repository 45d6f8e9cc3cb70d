"""Targets and images that no loss can learn from are refused by name, before any computation."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from seglib import SeglibError
from seglib.models import build_model
from seglib.models.base import Segmenter
from seglib.models.targets import check_targets
from seglib.structures import Target, check_images
from tests.modelling import boxes_target, some_categories

NAN, INF = float("nan"), float("inf")
IMAGE = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(0))


def one_object() -> Target:
    return boxes_target((40, 48), [[4, 4, 20, 20]], [1], image_id=7)


WRONG = {
    "labels": [torch.tensor([1.5]), torch.tensor([1], dtype=torch.int32), torch.tensor([[1]])],
    "boxes": [
        torch.zeros(1, 5),
        torch.zeros(0),
        torch.zeros(2, 4),
        torch.tensor([[4, 4, 20, 20]]),
        torch.tensor([[0.0, 0, INF, 5]]),
        torch.tensor([[0.0, 0, NAN, 5]]),
    ],
    "masks": [
        torch.zeros(0, 40, 48, dtype=torch.bool),
        torch.zeros(1, 40, 48, dtype=torch.uint8),
        torch.zeros(40, 48, dtype=torch.bool),
    ],
    "iscrowd": [torch.tensor([0]), torch.tensor([False, False])],
    "area": [torch.zeros(2), torch.tensor([NAN])],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in WRONG.items() for value in values]
)
def test_a_wrong_field_is_named(name: str, value: torch.Tensor) -> None:
    check_targets([IMAGE], [one_object()])
    with pytest.raises(SeglibError, match=rf"image 7 has (NaN or infinite )?{name}"):
        check_targets([IMAGE], [replace(one_object(), **{name: value})])


@pytest.mark.parametrize(
    ("label", "classes", "message"),
    [(-1, None, "1 and more"), (0, None, "1 and more"), (0, 3, "1…3"), (4, 3, "1…3")],
)
def test_a_label_that_the_model_does_not_know_is_named(
    label: int, classes: int | None, message: str
) -> None:
    check_targets([IMAGE], [replace(one_object(), labels=torch.tensor([3]))], classes)
    with pytest.raises(SeglibError, match=rf"image 7 has labels \[{label}\].*{message}"):
        check_targets([IMAGE], [replace(one_object(), labels=torch.tensor([label]))], classes)


def test_an_invalid_target_is_named() -> None:
    with pytest.raises(SeglibError, match="target 0 must be a Target, got dict"):
        check_targets([IMAGE], [{"boxes": 1}])  # type: ignore[list-item]


@pytest.fixture(scope="module", params=["mask_rcnn", "cascade_rcnn", "deepmask"])
def model(request: pytest.FixtureRequest) -> Segmenter:
    torch.manual_seed(0)
    return build_model(request.param, some_categories(2), image_size=48)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels", torch.tensor([1.5])),
        ("labels", torch.tensor([-1])),
        ("boxes", WRONG["boxes"][-2]),
        ("iscrowd", torch.tensor([0])),
        ("masks", WRONG["masks"][0]),
    ],
)
def test_every_loss_refuses_wrong_targets(model: Segmenter, name: str, value: torch.Tensor) -> None:
    with pytest.raises(SeglibError, match=f"image 7 has .*{name}"):
        model.loss([IMAGE], [replace(one_object(), **{name: value})])


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.zeros(3, 0, 48), r"image 1 has no pixels: its shape is \[3, 0, 48\]"),
        (torch.zeros(3, 40, 0), "image 1 has no pixel"),
        (IMAGE.clone().index_fill_(2, torch.tensor([9]), NAN), "image 1 has NaN or infinite"),
        (IMAGE.clone().index_fill_(2, torch.tensor([9]), -INF), "image 1 has NaN or infinite"),
        (IMAGE.half().index_fill_(2, torch.tensor([9]), NAN), "image 1 has NaN or infinite"),
    ],
)
def test_images_without_pixels_or_numbers_are_refused(image: torch.Tensor, message: str) -> None:
    check_images([IMAGE])
    with pytest.raises(SeglibError, match=message):
        check_images([IMAGE, image])


@pytest.mark.parametrize("pixels", [torch.zeros(3, 0, 48), torch.full((3, 40, 48), NAN)])
def test_every_model_refuses_such_images(model: Segmenter, pixels: torch.Tensor) -> None:
    with pytest.raises(SeglibError, match="image 0 has"):
        model.predict([pixels])
    with pytest.raises(SeglibError, match="image 0 has"):
        model.loss([pixels], [one_object()])
