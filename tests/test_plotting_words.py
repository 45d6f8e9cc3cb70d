"""A figure drawn with remembered words looks like one drawn from scratch."""

from __future__ import annotations

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seglib.plotting.words import Memory, WordCanvas


def drawn(canvas: FigureCanvasAgg) -> np.ndarray:
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(int)


def page(words: str) -> Figure:
    fig = Figure(figsize=(3, 2), dpi=100)
    fig.text(0.1, 0.5, words, color="#0072B2")
    fig.text(0.9, 0.1, words, rotation=90)
    return fig


def test_words_lie_where_they_did_to_a_fraction_of_a_pixel() -> None:
    plain = drawn(FigureCanvasAgg(page("IoU 0.53, box 12")))
    kept = drawn(WordCanvas(page("IoU 0.53, box 12"), Memory()))
    ink = (255 - plain).sum()
    assert abs((255 - kept).sum() - ink) < 0.03 * ink

    assert np.abs(kept - plain).max() < 128


def test_a_remembered_word_is_the_same_in_another_colour() -> None:
    memory = Memory()
    first = drawn(WordCanvas(page("box 1"), memory))
    again = page("box 1")
    again.texts[0].set_color("#D55E00")
    second = drawn(WordCanvas(again, memory))
    assert np.array_equal((first < 255).any(-1), (second < 255).any(-1))
    assert not np.array_equal(first, second)
    assert np.array_equal(drawn(WordCanvas(page("box 1"), memory)), first)
