"""DeepMask (Pinheiro, Collobert, Dollár, NIPS 2015): a mask and a score for every window."""

from seglib.models.deepmask.config import DeepMaskConfig
from seglib.models.deepmask.model import DeepMask, WindowLevel

__all__ = ["DeepMask", "DeepMaskConfig", "WindowLevel"]
