"""YOLACT (Bolya, Zhou, Xiao, Lee, ICCV 2019): masks as weighted sums of prototypes."""

from seglib.models.yolact.config import YOLACTConfig
from seglib.models.yolact.model import YOLACT, YOLACTOutput

__all__ = ["YOLACT", "YOLACTConfig", "YOLACTOutput"]
