"""The lessons' workshop: build each notebook from its text source, execute it, normalise it.

The text sources are what authors edit (`lessons/source/NN_name.py`, jupytext's percent
format); the notebooks beside them are what students open, always executed, always with
outputs, and equal from one run to the next on the same machine.
"""

from seglib.workshop.build import build_lesson, lesson_names, lessons_folder, source_of
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
    "source_of",
]
