"""`python -m seglib.grading 02`: the same as `seglib assignments build 02`."""

import sys

from seglib.errors import SeglibError
from seglib.grading import build

try:
    print(*build(sys.argv[1:]), sep="\n")
except SeglibError as error:
    sys.exit(f"error: {error}")
