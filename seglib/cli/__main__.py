"""`python -m seglib.cli`, which is how torchrun starts several processes."""

from seglib.cli import app

app(prog_name="seglib")
