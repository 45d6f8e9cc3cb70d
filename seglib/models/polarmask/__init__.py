"""PolarMask: a contour as distances along rays from a centre."""

from seglib.models.polarmask.config import PolarMaskConfig
from seglib.models.polarmask.model import PolarMask

__all__ = ["PolarMask", "PolarMaskConfig"]
