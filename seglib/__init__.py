"""seglib: instance segmentation from scratch, from a convolution to MaskFormer."""

from seglib.errors import SeglibError
from seglib.primitives import use

__all__ = ["SeglibError", "use"]
__version__ = "0.1.0"
