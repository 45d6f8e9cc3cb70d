"""FCN (Long, Shelhamer, Darrell, CVPR 2015): every pixel gets a class."""

from seglib.models.fcn.config import FCNConfig
from seglib.models.fcn.model import FCN

__all__ = ["FCN", "FCNConfig"]
