"""The workshop: builds the course's notebooks from text sources, runs them and checks them.

    build         a text source becomes a notebook without outputs
    execute       lessons are run, and the committed notebooks kept up to date
    normalise     what differs between two runs is removed from a notebook
    assignments   masters become student notebooks (needs the `grade` extra)
    release       notebooks are handed out, to students or with solutions
    checks        an assignment is run, and each of its checks passes or fails
    nbval_plugin  nbval compares numbers within a tolerance and fails clearly

Authors edit the text sources (`lessons/source/NN_name.py`, in jupytext's percent format).
Students open the notebooks beside them, which are committed with their outputs; running a
lesson again on the same machine produces the same notebook.
"""

from seglib.workshop.build import build_lesson, lesson_names, lessons_folder, source_path
from seglib.workshop.execute import LessonRun, execute, run
from seglib.workshop.normalise import normalise

__all__ = [
    "LessonRun",
    "build_lesson",
    "execute",
    "lesson_names",
    "lessons_folder",
    "normalise",
    "run",
    "source_path",
]
