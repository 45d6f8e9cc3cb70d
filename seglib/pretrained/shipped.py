"""The checkpoints that come with the course."""

from __future__ import annotations

from pathlib import Path

from seglib.data.assets import asset
from seglib.errors import SeglibError

# File stem in data/checkpoints/ -> SHA-256 that a downloaded copy must have.
SHIPPED: dict[str, str | None] = {"fcn-8s": None, "fcn-16s": None, "fcn-32s": None}
# A paradigm's bare name means its best checkpoint.
ALIASES = {"fcn": "fcn-8s"}


def shipped_names() -> list[str]:
    """What `load` knows by name, sorted."""
    return sorted({*SHIPPED, *ALIASES})


def shipped_file(name: str) -> Path:
    """The file of a shipped checkpoint, fetched first when an installed package lacks it.

    Raises:
        SeglibError: no such name, or a file that is neither here nor to be fetched.
    """
    stem = _stem(name)
    return asset(f"checkpoints/{stem}.safetensors", SHIPPED[stem])


def shipped_record(name: str) -> Path:
    """The JSON file beside a shipped checkpoint; errors as `shipped_file`."""
    return asset(f"checkpoints/{_stem(name)}.json")


def _stem(name: str) -> str:
    stem = ALIASES.get(name, name)
    if stem not in SHIPPED:
        raise SeglibError(
            f"no checkpoint is called {name!r}: choose one of {', '.join(shipped_names())}, "
            "or give the folder of a training run or a .safetensors file"
        )
    return stem
