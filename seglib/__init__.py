"""seglib: instance segmentation from scratch, from a convolution to MaskFormer."""

from seglib import ops  # declares the primitives, so that `use` knows them
from seglib.errors import SeglibError
from seglib.primitives import use

__all__ = ["SeglibError", "ops", "use"]
__version__ = "0.1.0"
