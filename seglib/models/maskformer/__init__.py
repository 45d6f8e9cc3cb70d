"""MaskFormer and Mask2Former (Cheng et al. 2021, 2022): segmentation as a set of masks."""

from seglib.models.maskformer.config import MaskFormerConfig
from seglib.models.maskformer.model import MaskFormer

__all__ = ["MaskFormer", "MaskFormerConfig"]
