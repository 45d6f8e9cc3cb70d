"""`python -m seglib.workshop 02`: the same as `seglib lessons run 02`."""

import sys

from seglib.errors import SeglibError
from seglib.workshop import run

try:
    for done in run(sys.argv[1:]):
        state = "written" if done.written else "unchanged"
        print(f"{done.name}: {done.seconds:.0f} s, {state}")
except SeglibError as error:
    sys.exit(f"error: {error}")
