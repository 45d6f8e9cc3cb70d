"""The explorer of SOLO's cells shows what the model says of the cell at a place."""

from __future__ import annotations

import pytest
import torch

from seglib.models.solo import SOLO, SOLOConfig
from seglib.models.solo.mask_maps import Cells
from seglib.structures import Categories
from seglib.widgets import CellMasks
from tests.explorers import check_every_control

IMAGE = torch.rand(3, 64, 96, generator=torch.Generator().manual_seed(0))
NAMES = Categories.from_coco([{"id": 1, "name": "cat"}, {"id": 2, "name": "sky-other-merged"}])


@pytest.fixture(scope="module", params=["solo", "v2"])
def model(request: pytest.FixtureRequest) -> SOLO:
    torch.manual_seed(0)
    made = SOLO(SOLOConfig.pocket(request.param), NAMES).eval()
    torch.nn.init.normal_(made.category.logits.weight, std=0.5)  # so that cells differ
    return made


def test_every_control_changes_the_numbers_and_the_picture(model: SOLO) -> None:
    moves = {"grid": "8 × 8", "down": 5, "across": 90}
    check_every_control(CellMasks(model, IMAGE), moves)


def test_the_cell_is_that_of_a_centre_at_this_place(model: SOLO) -> None:
    explorer = CellMasks(model, IMAGE, level=4, place=(0, 0))
    assert explorer.values["cell"] == (4, 0, 0)
    # 8 rows of 8 px and 8 columns of 12 px.
    assert explorer.set(down=7, across=11)["cell"] == (4, 0, 0)
    assert explorer.set(down=8, across=12)["cell"] == (4, 1, 1)
    assert explorer.set(down=63, across=95)["cell"] == (4, 7, 7)


def test_scores_and_mask_are_the_models(model: SOLO) -> None:
    values = CellMasks(model, IMAGE, level=2, place=(20, 50)).values
    level, row, column = values["cell"]
    with torch.no_grad():
        output = model([IMAGE])
        cell = Cells(*(torch.tensor([n]) for n in (0, level, row, column)))
        mask = output.masks.probabilities(cell, output.batch.canvas)[0]
    scores = output.class_logits[level][0, :, row, column].sigmoid()
    assert (values["label"], values["score"]) == (int(scores.argmax()) + 1, float(scores.max()))
    assert torch.equal(values["mask"], mask[:64, :96])


def test_the_summary_names_the_class_briefly(model: SOLO) -> None:
    explorer = CellMasks(model, IMAGE)
    name = "cat" if explorer.values["label"] == 1 else "sky"
    assert f" says {name} with probability {explorer.values['score']:.2f}" in explorer.summary()
