"""`python -m seglib.workshop 02`: like `seglib lessons run 02`, but prints a line per lesson."""

import sys

from seglib.errors import SeglibError
from seglib.workshop import run

try:
    for done in run(sys.argv[1:]):
        state = "written" if done.written else "unchanged"
        print(f"{done.name}: {done.seconds:.0f} s, {state}")
except SeglibError as error:
    sys.exit(f"error: {error}")
