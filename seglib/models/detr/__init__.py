"""DETR (Carion et al., ECCV 2020): detection as the prediction of a set."""

from seglib.models.detr.config import DETRConfig
from seglib.models.detr.model import DETR

__all__ = ["DETR", "DETRConfig"]
