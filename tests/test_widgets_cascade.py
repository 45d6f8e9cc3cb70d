"""The explorer of a cascade's stages counts the boxes as the library labels them."""

from __future__ import annotations

import pytest
import torch

from seglib.errors import SeglibError
from seglib.models.mask_rcnn.box_targets import label_boxes
from seglib.models.targets import SizedTarget
from seglib.widgets import CascadeStages, StagedImage
from tests.explorers import check_every_control

IMAGE = torch.zeros(3, 64, 96)
OBJECTS = torch.tensor([[0.0, 0, 20, 20], [40, 10, 80, 50]])
# The box of the small object is 12 of 20 px wide (IoU 0.6), then 18 (0.9); the box of the large
# object 20 of 40 (0.5), then 30 (0.75). A third box overlaps no object.
PROPOSALS = torch.tensor([[0.0, 0, 12, 20], [40, 10, 60, 50], [84, 54, 96, 64]])
REFINED = torch.tensor([[0.0, 0, 18, 20], [40, 10, 70, 50], [84, 54, 96, 64]])


def stages() -> CascadeStages:
    other = StagedImage(IMAGE, OBJECTS[:1], [PROPOSALS[:1], REFINED[:1]])
    return CascadeStages([StagedImage(IMAGE, OBJECTS, [PROPOSALS, REFINED]), other])


def test_every_control_changes_the_numbers_and_the_picture() -> None:
    moves = {
        "IoU threshold": 0.6,
        "stage": "after stage 1",
        "image": 2,
        "objects": "the larger half",
    }
    check_every_control(stages(), moves)


def test_the_numbers_by_hand() -> None:
    explorer = stages()
    values = explorer.values
    assert values["positives"] == [3, 3]
    assert values["shares"] == [0.75, 0.75]
    assert values["mean_iou"] == pytest.approx([(0.6 + 0.5 + 0 + 0.6) / 4, (0.9 + 0.75 + 0.9) / 4])
    values = explorer.set(IoU_threshold=0.8)
    assert values["positives"] == [0, 2]
    assert (values["here"], values["boxes_here"], values["reached"]) == (0, 3, 0)
    values = explorer.set(stage="after stage 1")
    assert (values["here"], values["reached"], values["objects"]) == (1, 1, 2)


def test_positives_are_those_that_a_head_is_trained_on() -> None:
    values = stages().set(IoU_threshold=0.75, stage="after stage 1")
    masks = torch.zeros(2, 64, 96, dtype=torch.bool)
    labelled = label_boxes(REFINED, SizedTarget(OBJECTS, torch.tensor([1, 2]), masks), 0.75)
    assert values["rows"].tolist() == (labelled.labels > 0).nonzero().squeeze(1).tolist()


def test_a_box_belongs_to_the_object_that_it_was_proposed_for() -> None:
    explorer = stages()
    # The third box overlaps nothing and is counted with the first object, the small one.
    assert explorer.set(objects="the larger half")["positives"] == [1, 1]
    assert explorer.set(IoU_threshold=0.7)["positives"] == [0, 1]


def test_an_empty_half_is_allowed() -> None:
    one = StagedImage(IMAGE, OBJECTS[:1], [PROPOSALS[:1], REFINED[:1]])
    values = CascadeStages([one]).set(objects="the larger half")
    assert (values["positives"], values["mean_iou"]) == ([0, 0], [0.0, 0.0])


def test_faulty_input_is_refused() -> None:
    with pytest.raises(SeglibError, match="same number of stages"):
        CascadeStages([])
    with pytest.raises(SeglibError, match="at least one object"):
        CascadeStages([StagedImage(IMAGE, torch.zeros(0, 4), [PROPOSALS])])
    with pytest.raises(SeglibError, match="as many names"):
        CascadeStages([StagedImage(IMAGE, OBJECTS, [PROPOSALS])], ["one", "two"])
