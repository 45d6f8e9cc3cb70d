"""The anchor explorer and the NMS stepper compute what the library computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from seglib.errors import SeglibError
from seglib.nn.anchors import Anchors
from seglib.ops.nms import batched_nms, nms
from seglib.widgets import AnchorExplorer, Explorer, NMSStepper
from tests.explorers import check_every_control

IMAGE = torch.zeros(3, 64, 96)
OBJECTS = torch.tensor([[6.0, 6, 26, 26], [40, 10, 80, 30], [50, 40, 58, 60]])


def anchors() -> AnchorExplorer:
    return AnchorExplorer(IMAGE, OBJECTS)


def stepper() -> NMSStepper:
    """Two overlapping dogs with two boxes each, and a cat in the same place."""
    boxes = torch.tensor(
        [[0.0, 0, 20, 20], [1, 0, 21, 20], [0, 7, 20, 27], [0, 8, 20, 28], [2, 1, 20, 20]]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, 0.6, 0.5])
    return NMSStepper(IMAGE, boxes, scores, torch.tensor([1, 1, 1, 1, 2]), ["dog"] * 4 + ["cat"])


MOVES: list[tuple[Callable[[], Explorer], dict[str, Any]]] = [
    (
        anchors,
        {
            "stride": 4,
            "size": 24,
            "ratios": "1:1",
            "positive IoU": 0.5,
            "negative IoU": 0.2,
            "keep best anchor": "no",
        },
    ),
    (
        stepper,
        {"step": 4, "IoU threshold": 0.3, "suppress": "across classes", "lowest score": 0.75},
    ),
]


@pytest.mark.parametrize(("build", "moves"), MOVES, ids=["anchors", "nms"])
def test_every_control_changes_the_numbers_and_the_picture(
    build: Callable[[], Explorer], moves: dict[str, Any]
) -> None:
    check_every_control(build(), moves)


def test_anchors_equal_those_of_the_network_and_their_labels_add_up() -> None:
    explorer = AnchorExplorer(IMAGE, OBJECTS, stride=8, size=20)
    built = Anchors(sizes=((20,),)).on([(8, 12)], [8])[0]
    assert torch.equal(explorer.anchors(), built)
    v = explorer.values
    assert v["anchors"] == 8 * 12 * 3 == v["positive"] + v["negative"] + v["between"]


def test_an_object_without_a_good_anchor_keeps_its_best_one() -> None:
    explorer = AnchorExplorer(IMAGE, torch.tensor([[3.0, 3, 9, 9]]), stride=32, size=40)
    assert explorer.values["reached"] == 0
    assert "0 of 1 objects are reached, by an IoU of at least 0.70" in explorer.summary()
    assert explorer.values["positive"] >= 1
    assert explorer.set(keep_best_anchor="no")["positive"] == 0


def test_thresholds_stay_in_order() -> None:
    values = AnchorExplorer(IMAGE, OBJECTS, positive=0.4, negative=0.9).values
    assert values["between"] == 0


def test_the_last_step_equals_the_librarys_nms() -> None:
    explorer = stepper()
    end = explorer.set(step=5)
    assert end["done"]
    assert (
        end["kept"] == batched_nms(explorer.boxes, explorer.scores, explorer.labels, 0.5).tolist()
    )
    end = explorer.set(suppress="across classes")
    assert end["kept"] == nms(explorer.boxes, explorer.scores, 0.5).tolist()


def test_steps_go_down_the_ranking() -> None:
    explorer = stepper()
    assert explorer.values["current"] == -1
    assert explorer.values["waiting"] == [0, 1, 2, 3, 4]
    first = explorer.set(step=1)
    # Shifted by 1 of 20 px, the IoU is 0.9; shifted by 7, it is 13 / 27 = 0.48.
    assert (first["kept"], first["suppressed"], first["waiting"]) == ([0], [1], [2, 3, 4])
    second = explorer.set(step=2)
    assert (second["kept"], second["suppressed"]) == ([0, 2], [1, 3])


def test_faulty_boxes_are_refused() -> None:
    with pytest.raises(SeglibError, match=r"\[G, 4\]"):
        AnchorExplorer(IMAGE, torch.zeros(0, 4))
    with pytest.raises(SeglibError, match=r"scores \[N\]"):
        NMSStepper(IMAGE, OBJECTS, torch.zeros(2))
