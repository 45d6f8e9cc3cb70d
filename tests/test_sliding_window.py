"""The sliding window: each control changes the numbers, and they are the model's own."""

from __future__ import annotations

import pytest
import torch

from seglib.models import build_model
from seglib.models.deepmask import DeepMask
from seglib.models.deepmask.windows import canonical_windows
from seglib.structures import Categories, Category
from seglib.widgets import SlidingWindow
from tests.explorers import plain
from tests.modelling import boxes_target

CATEGORIES = Categories([Category(1, 1, "square")])


@pytest.fixture
def explorer() -> SlidingWindow:
    torch.manual_seed(0)
    model = build_model("deepmask", CATEGORIES, width=8, rank=8, reduced=8, score_widths=(8,))
    assert isinstance(model, DeepMask)
    model.network.decoder.bias.data[:] = torch.linspace(-2, 2, 28 * 28)  # masks that move
    image = torch.rand(3, 128, 128) / 3
    image[:, 40:72, 32:64] += 0.6
    target = boxes_target((128, 128), [[32, 40, 64, 72]], [1])
    return SlidingWindow(model.eval(), image, target)


@pytest.mark.parametrize(("name", "value"), [("x", 48), ("y", 40), ("octave", 1.0)])
def test_every_control_changes_the_numbers_and_the_picture(
    explorer: SlidingWindow, name: str, value: float
) -> None:
    assert set(explorer.controls) == {"x", "y", "octave"}
    before, picture = plain(explorer.values), explorer._picture.value
    explorer.controls[name].value = value
    after = plain(explorer.values)
    for number in ("window", "score", "mask"):
        assert after[number] != before[number], number
    assert explorer._picture.value != picture
    assert explorer.summary() in explorer._words.value


def test_the_verdict_is_the_papers(explorer: SlidingWindow) -> None:
    values = explorer.set(x=48, y=56)
    canonical = canonical_windows(explorer.objects.boxes, 56, 4.0)[0]
    assert values["window"] == canonical.tolist() == [20, 28, 76, 84]
    assert values["verdict"] == "positive"
    assert explorer.set(x=54)["verdict"] == "not used"  # 6 px off: more than 4, less than 8
    assert explorer.set(x=57)["verdict"] == "negative"
    assert explorer.set(x=48, octave=0.5)["verdict"] == "not used"
    assert explorer.set(octave=1.25)["verdict"] == "negative"


def test_the_numbers_are_the_models_where_nothing_is_padded(
    explorer: SlidingWindow,
) -> None:
    """In an image of one grey, the window and the sliding network see the same everywhere."""
    model, image = explorer.model, torch.full((3, 128, 128), 0.5)
    alone = SlidingWindow(model, image, explorer.objects, x=64, y=64)
    with torch.no_grad():
        levels = model([image])[0]
    level = next(some for some in levels if some.octave == 0)
    assert level.windows[8, 8].tolist() == alone.values["window"]
    assert alone.values["score"] == pytest.approx(float(level.scores[8, 8].sigmoid()), abs=0.02)
