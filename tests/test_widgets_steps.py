"""The buttons of a process move its control, and play only when asked to."""

from __future__ import annotations

from seglib.widgets import CascadeStages, ConvolutionStepper, ReceptiveField, StagedImage
from seglib.widgets.steps import StepButtons
from tests.test_widgets_cascade import IMAGE, OBJECTS


def steps(explorer: ConvolutionStepper | ReceptiveField | CascadeStages) -> StepButtons:
    assert explorer.steps is not None
    return explorer.steps


def test_a_step_moves_the_control_and_redraws_until_the_ends() -> None:
    explorer = ConvolutionStepper()
    buttons, picture = steps(explorer), explorer._picture.value
    buttons.back.click()
    assert explorer.setting("position") == 0
    buttons.forward.click()
    assert (explorer.values["row"], explorer.values["column"]) == (0, 1)
    assert explorer._picture.value != picture
    explorer.set(position=24)
    buttons.forward.click()
    assert explorer.setting("position") == 24


def test_nothing_plays_until_it_is_asked_to_and_a_step_pauses() -> None:
    explorer = ReceptiveField(layers=3)
    buttons = steps(explorer)
    assert not buttons.timer.playing
    assert buttons.timer.layout.display == "none"
    buttons.play.click()
    assert (buttons.timer.playing, buttons.play.icon) == (True, "pause")
    assert buttons.play.tooltip == "layers: pause"
    buttons.timer.value = 4  # as the browser counts
    assert explorer.setting("layers") == 4
    buttons.back.click()
    assert (buttons.timer.playing, buttons.play.tooltip) == (False, "layers: play")
    assert explorer.setting("layers") == 3


def test_at_the_end_it_plays_from_the_beginning() -> None:
    explorer = ReceptiveField(layers=7)
    steps(explorer).play.click()
    assert explorer.setting("layers") == 1


def test_the_timer_ends_where_the_control_ends() -> None:
    explorer = ConvolutionStepper()
    assert steps(explorer).timer.max == explorer.controls["position"].max == 24
    explorer.set(stride=2)
    assert steps(explorer).timer.max == explorer.controls["position"].max == 8


def test_a_list_is_gone_through_entry_by_entry() -> None:
    explorer = CascadeStages([StagedImage(IMAGE, OBJECTS, [OBJECTS, OBJECTS + 1])])
    steps(explorer).forward.click()
    assert explorer.setting("stage") == "after stage 1"
    steps(explorer).forward.click()
    assert explorer.setting("stage") == "after stage 1"
    steps(explorer).back.click()
    assert explorer.setting("stage") == "proposals"


def test_every_button_has_a_name() -> None:
    buttons = steps(ReceptiveField())
    names = [button.tooltip for button in (buttons.back, buttons.play, buttons.forward)]
    assert names == ["layers: one step back", "layers: play", "layers: one step forward"]
