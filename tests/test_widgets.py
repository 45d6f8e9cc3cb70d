"""Explorers and quizzes: every control changes the computed numbers, which are correct."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from ipywidgets import embed

from seglib.errors import SeglibError
from seglib.structures import Categories, Category
from seglib.widgets import (
    ConvolutionStepper,
    Explorer,
    IoUExplorer,
    Option,
    Question,
    Quiz,
    ReceptiveField,
    SkipMixer,
)
from seglib.widgets.explorer import picture_tag
from tests.explorers import check_every_control

CATEGORIES = Categories([Category(1, 16, "bird"), Category(2, 18, "dog")])


def mixer() -> SkipMixer:
    """A coarse map that is right about the bird, and a fine one that is right about the dog."""
    truth = torch.zeros(16, 16, dtype=torch.int64)
    truth[:8, :8], truth[10:14, 10:14] = 1, 2
    coarse, fine = torch.zeros(3, 2, 2), torch.zeros(3, 16, 16)
    coarse[0], coarse[1, 0, 0] = 0.5, 2.0
    fine[0], fine[2, 10:14, 10:14], fine[1, :8, 6:8] = 0.4, 1.5, 0.3
    return SkipMixer(
        torch.zeros(3, 16, 16), {"stride 8": coarse, "stride 1": fine}, truth, CATEGORIES
    )


# For every explorer: a new value for each control.
MOVES: list[tuple[Callable[[], Explorer], dict[str, Any]]] = [
    (
        IoUExplorer,
        {
            "threshold": 0.3,
            "truth x": (10, 60),
            "truth y": (0, 50),
            "predicted x": (0, 30),
            "predicted y": (60, 119),
        },
    ),
    (
        ConvolutionStepper,
        {"kernel": "mean", "stride": 2, "padding": 1, "dilation": 2, "position": 7},
    ),
    (
        ReceptiveField,
        {"layers": 6, "kernel": 5, "stride": 3, "strided layers": 4, "dilation": 2},
    ),
    (mixer, {"stride 8": 0.0, "stride 1": 0.0}),
]


@pytest.mark.parametrize(("build", "moves"), MOVES, ids=["iou", "convolution", "field", "skips"])
def test_every_control_changes_the_numbers_and_the_picture(
    build: Callable[[], Explorer], moves: dict[str, Any]
) -> None:
    check_every_control(build(), moves)


def test_set_moves_controls_by_name_and_refuses_others() -> None:
    explorer = IoUExplorer()
    assert explorer.set(truth_x=(0, 10), threshold=0.9) is explorer.values
    assert explorer.controls["truth x"].value == (0, 10)
    with pytest.raises(SeglibError, match="'treshold'"):
        explorer.set(treshold=0.5)


def test_iou_explorer_judges_at_the_threshold() -> None:
    explorer = IoUExplorer(truth=(0, 0, 10, 10), predicted=(0, 0, 10, 5))
    assert explorer.values == {
        "intersection": 50,
        "union": 100,
        "iou": 0.5,
        "verdict": "true positive",
    }
    assert explorer.set(threshold=0.55)["verdict"] == "false positive"


def test_iou_explorer_accepts_boxes_without_area() -> None:
    explorer = IoUExplorer(truth=(5, 5, 5, 5), predicted=(5, 5, 5, 5))
    assert explorer.values["iou"] == 0
    assert explorer.values["union"] == 0


def test_stepper_computes_the_convolution() -> None:
    stepper = ConvolutionStepper(torch.arange(64.0).reshape(8, 8), position=8)
    # Rows 1…3, columns 2…4: each row's left minus right is -2, weighted 1, 2, 1.
    assert stepper.values["value"] == -8
    assert (stepper.values["row"], stepper.values["column"]) == (1, 2)
    assert (stepper.values["height"], stepper.values["width"]) == (6, 6)


def test_stepper_moves_to_the_last_cell_when_the_output_shrinks() -> None:
    stepper = ConvolutionStepper(position=24)
    assert stepper.set(dilation=3)["height"] == 1
    assert (stepper.values["row"], stepper.values["column"]) == (0, 0)
    assert stepper.controls["position"].max == 0
    assert stepper.set(dilation=1, padding=2)["height"] == 9
    assert stepper.controls["position"].max == 80


def test_receptive_field_follows_the_layers() -> None:
    explorer = ReceptiveField(layers=3, kernel=3, stride=2, strided=2)
    assert explorer.values["table"] == [(1, 3, 2), (2, 7, 4), (3, 15, 4)]
    assert explorer.set(dilation=2)["field"] == 1 + 4 + 8 + 16


def test_mixing_both_maps_beats_each_alone() -> None:
    explorer = mixer()
    both = explorer.values["mean_iou"]
    assert both > explorer.values["best_single"]
    assert explorer.set(stride_8=0.0)["mean_iou"] < both
    with pytest.raises(SeglibError, match=r"\[3, h, w\]"):
        SkipMixer(torch.zeros(3, 4, 4), {"a": torch.zeros(2, 4, 4)}, torch.zeros(4, 4), CATEGORIES)
    with pytest.raises(SeglibError, match="at least one"):
        SkipMixer(torch.zeros(3, 4, 4), {}, torch.zeros(4, 4), CATEGORIES)


def test_the_saved_state_holds_the_picture_for_a_page_without_kernel() -> None:
    explorer = IoUExplorer()
    state = embed.dependency_state([explorer.panel])
    texts = [s["state"]["value"] for s in state.values() if s["model_name"] == "HTMLModel"]
    (picture,) = [text for text in texts if "<img" in text]
    assert 'alt="IoUExplorer: IoU = ' in picture
    assert 'src="data:image/png;base64,' in picture
    bundle = explorer._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "IoU = " in bundle["text/plain"]


def test_alternative_text_is_words_alone() -> None:
    tag = picture_tag(b"PNG", 'two <b>big</b> &amp; "small" ones')
    assert 'alt="two  big  &amp; &quot;small&quot; ones"' in tag


def test_controls_have_names_for_screen_readers() -> None:
    for name, control in IoUExplorer().controls.items():
        assert control.tooltip == control.description == name


# --- quiz ----------------------------------------------------------------------------------


def quiz() -> Quiz:
    return Quiz(
        [
            Question(
                "How many cells has a <code>3×3</code> kernel?",
                [Option("3", feedback="That is one row."), Option("9", correct=True)],
                objective="count",
            ),
            Question(
                "Which holds for IoU?",
                [Option("0 < IoU < 2", feedback="It ends at 1."), Option("IoU ≤ 1", True, "Yes.")],
            ),
        ]
    )


def test_quiz_gives_feedback_and_keeps_the_score() -> None:
    q = quiz()
    first, second = (question.answer for question in q.questions)
    assert q.values == {"answered": 0, "correct": 0, "first_try": 0, "total": 2}
    assert q.answer(0, 1 - first) == "That is one row."
    assert "Not quite" in q._feedback[0].value
    assert q.answer(0, first) == ""
    assert q.answer(1, second) == "Yes."
    assert "Correct" in q._feedback[1].value
    assert q.values == {"answered": 2, "correct": 2, "first_try": 1, "total": 2}
    assert "2 of 2 correct" in q._score.value


def test_quiz_responds_to_its_buttons() -> None:
    q = quiz()
    assert list(q.controls) == ["1A", "1B", "2A", "2B"]
    right, wrong = "AB" if q.questions[1].answer == 0 else "BA"
    right_button, wrong_button = q.controls[f"2{right}"], q.controls[f"2{wrong}"]
    wrong_button.click()
    assert "It ends at 1." in q._feedback[1].value
    assert (wrong_button.description, wrong_button.button_style) == (f"{wrong} ✗", "warning")
    right_button.click()
    assert (wrong_button.description, wrong_button.button_style) == (wrong, "")
    assert (right_button.description, right_button.button_style) == (f"{right} ✓", "success")


def test_the_order_of_a_quizs_options_is_the_same_however_they_are_written() -> None:
    options = [Option(str(n), n == 3, "no") for n in range(5)]
    shown = [Quiz([Question("?", options[i:] + options[:i])]).questions[0] for i in range(5)]
    assert all(question == shown[0] for question in shown)
    places = {Quiz([Question(f"{n}?", options)]).questions[0].answer for n in range(50)}
    assert places == {0, 1, 2, 3, 4}


def test_quiz_can_be_read_without_a_kernel() -> None:
    bundle = quiz()._repr_mimebundle_()
    page = bundle["text/html"]
    assert page.count("<details") == 4
    assert "That is one row." in page
    assert "<code>3×3</code>" in page
    assert "application/vnd.jupyter.widget-view+json" in bundle


def test_one_question_is_counted_as_one() -> None:
    assert repr(quiz()) == "<Quiz: Check yourself, 2 questions>"
    assert repr(Quiz(quiz().questions[:1], "Crowds")) == "<Quiz: Crowds, 1 question>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([Option("a", True), Option("b", True)], "2 correct"),
        ([Option("a", feedback="no"), Option("b", feedback="no")], "0 correct"),
        ([Option("a", True), Option("b")], "needs feedback"),
        ([Option("a", True)], "1 option:"),
    ],
)
def test_faulty_questions_are_refused(options: list[Option], message: str) -> None:
    with pytest.raises(SeglibError, match=message):
        Question("?", options)


def test_quiz_refuses_choices_that_do_not_exist() -> None:
    with pytest.raises(SeglibError, match="no option 2"):
        quiz().answer(0, 2)
    with pytest.raises(SeglibError, match="no question 5"):
        quiz().answer(5, 0)
    with pytest.raises(SeglibError, match="at least one question"):
        Quiz([])
