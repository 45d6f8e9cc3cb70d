"""A self-check quiz with a score, and feedback that says why a wrong choice is wrong.

With a running kernel, the options are buttons. Everywhere else (the book, a saved notebook, a
screen reader) the quiz is plain HTML in which each option unfolds to its feedback; the site's
`quiz.js` makes buttons of the options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import ipywidgets as widgets

from seglib.counted import counted
from seglib.errors import SeglibError

LETTERS = "ABCDEFGH"


@dataclass(frozen=True)
class Option:
    """One choice.

    Attributes:
        text: may contain simple HTML such as <code>.
        correct: whether this is the answer.
        feedback: shown when it is chosen; for a wrong choice, it must say why it is wrong.
    """

    text: str
    correct: bool = False
    feedback: str = ""


@dataclass(frozen=True)
class Question:
    """A question with exactly one correct option.

    Attributes:
        text: the question; may contain simple HTML.
        options: 2 to 8 choices.
        objective: the learning objective that the question tests.
    """

    text: str
    options: Sequence[Option]
    objective: str = ""

    def __post_init__(self) -> None:
        """Raises SeglibError unless one option is correct and all others have feedback."""
        correct = sum(option.correct for option in self.options)
        if correct != 1:
            raise SeglibError(f"{self.text!r} has {correct} correct options: mark exactly one")
        if not 2 <= len(self.options) <= len(LETTERS):
            count = counted(len(self.options), "option")
            raise SeglibError(f"{self.text!r} has {count}: give 2 to 8")
        for option in self.options:
            if not option.correct and not option.feedback.strip():
                raise SeglibError(f"{self.text!r}: wrong option {option.text!r} needs feedback")

    @property
    def answer(self) -> int:
        """The index of the correct option."""
        return next(i for i, option in enumerate(self.options) if option.correct)


class Quiz:
    """Questions with feedback and a score.

    Attributes:
        questions: as shown. The order of the options depends on their texts alone, so that it is
            the same in every run and the position of the correct one gives nothing away.
        controls: "1A", "1B" … → the button of that option.
        values: `answered`, `correct`, `first_try` (correct at the first try), `total`.
        panel: what is displayed.
    """

    def __init__(self, questions: Sequence[Question], title: str = "Check yourself") -> None:
        """Raises SeglibError if there are no questions."""
        if not questions:
            raise SeglibError("a quiz needs at least one question")
        self.questions = tuple(map(_shuffled, questions))
        self.title = title
        self.controls: dict[str, Any] = {}
        self._chosen: dict[int, int] = {}
        self._first: dict[int, int] = {}
        self._feedback = [widgets.HTML() for _ in questions]
        self._score = widgets.HTML()
        blocks = [widgets.HTML(f"<h3>{title}</h3>")]
        blocks += [self._block(i, question) for i, question in enumerate(self.questions)]
        self.panel = widgets.VBox([*blocks, self._score])
        self._show_score()

    @property
    def values(self) -> dict[str, int]:
        """The score so far."""
        return {
            "answered": len(self._chosen),
            "correct": sum(self.questions[i].answer == j for i, j in self._chosen.items()),
            "first_try": sum(self.questions[i].answer == j for i, j in self._first.items()),
            "total": len(self.questions),
        }

    def answer(self, question: int, option: int) -> str:
        """Choose an option as shown, both counted from 0; returns its feedback."""
        if not 0 <= question < len(self.questions):
            raise SeglibError(f"no question {question}: choose 0…{len(self.questions) - 1}")
        if not 0 <= option < len(self.questions[question].options):
            raise SeglibError(f"question {question} has no option {option}")
        self.controls[f"{question + 1}{LETTERS[option]}"].click()
        return self.questions[question].options[option].feedback

    def static_html(self) -> str:
        """The quiz as HTML that needs no kernel: each option unfolds to its feedback."""
        parts = [f"<h3>{self.title}</h3>", "<p>Choose an option, then unfold it.</p>"]
        for number, question in enumerate(self.questions, 1):
            parts.append(f"<p><b>{number}.</b> {question.text}</p>")
            for letter, option in zip(LETTERS, question.options, strict=False):
                parts.append(
                    '<details style="margin:0.2em 0 0.2em 1.2em">'
                    f"<summary>{letter}. {option.text}</summary>"
                    f'<p style="margin:0.3em 0 0.6em 1.2em">{_verdict(option)}</p></details>'
                )
        return "\n".join(parts)

    def _block(self, number: int, question: Question) -> Any:
        """The question, one row per option, and the feedback."""
        rows = []
        for index, option in enumerate(question.options):
            button = widgets.Button(
                description=LETTERS[index],
                tooltip=f"Choose {LETTERS[index]}",
                layout=widgets.Layout(width="4.2em", flex="0 0 auto"),
            )
            button.on_click(lambda _, index=index: self._choose(number, index))
            self.controls[f"{number + 1}{LETTERS[index]}"] = button
            text = widgets.HTML(option.text, layout=widgets.Layout(flex="1 1 auto"))
            rows.append(widgets.HBox([button, text]))
        heading = widgets.HTML(f"<div><b>{number + 1}.</b> {question.text}</div>")
        return widgets.VBox([heading, *rows, self._feedback[number]])

    def _choose(self, number: int, index: int) -> None:
        """Mark the choice on its button, by sign and by colour, and show its feedback."""
        question = self.questions[number]
        self._chosen[number] = index
        self._first.setdefault(number, index)
        for i, option in enumerate(question.options):
            button = self.controls[f"{number + 1}{LETTERS[i]}"]
            sign, style = ("✓", "success") if option.correct else ("✗", "warning")
            button.description = f"{LETTERS[i]} {sign}" if i == index else LETTERS[i]
            button.button_style = style if i == index else ""
        self._feedback[number].value = f"<div>{_verdict(question.options[index])}</div>"
        self._show_score()

    def _show_score(self) -> None:
        score = self.values
        self._score.value = (
            f"<p><b>{score['correct']} of {score['total']} correct</b>, "
            f"{score['first_try']} at the first attempt; {score['answered']} answered.</p>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        bundle: dict[str, Any] = self.panel._repr_mimebundle_()
        return {**bundle, "text/html": self.static_html(), "text/plain": repr(self)}

    def __repr__(self) -> str:
        return f"<Quiz: {self.title}, {counted(len(self.questions), 'question')}>"


def _shuffled(question: Question) -> Question:
    """The question with its options sorted by a hash of its text and theirs."""

    def place(option: Option) -> bytes:
        return hashlib.sha256(f"{question.text}|{option.text}".encode()).digest()

    return replace(question, options=sorted(question.options, key=place))


def _verdict(option: Option) -> str:
    """The feedback after a verdict in words, so that nothing is conveyed by colour only."""
    if option.correct:
        return f'<b style="color:#00664B">✓ Correct.</b> {option.feedback}'
    return f'<b style="color:#A34700">✗ Not quite.</b> {option.feedback}'
