"""seglib: instance segmentation from scratch, from a convolution to MaskFormer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seglib.errors import SeglibError

if TYPE_CHECKING:
    from seglib import ops
    from seglib.primitives import use

__all__ = ["SeglibError", "ops", "use"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Load the primitives, and torch with them, at first use: `seglib --help` needs neither."""
    if name not in ("ops", "use"):
        raise AttributeError(f"module 'seglib' has no attribute {name!r}")
    ops = import_module("seglib.ops")  # declares the primitives, so that `use` knows them
    return ops if name == "ops" else import_module("seglib.primitives").use
