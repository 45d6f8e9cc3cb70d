"""SOLO and SOLOv2: instance segmentation by location."""

from seglib.models.solo.config import SOLOConfig
from seglib.models.solo.model import SOLO, SOLOOutput

__all__ = ["SOLO", "SOLOConfig", "SOLOOutput"]
