"""Explorers to turn and quizzes to answer; each recomputes through seglib's own functions."""

from seglib.widgets.quiz import Option, Question, Quiz

__all__ = ["Option", "Question", "Quiz"]
