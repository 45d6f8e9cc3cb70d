"""Mask R-CNN (He, Gkioxari, Dollár, Girshick, ICCV 2017): propose boxes, then segment in them."""

from seglib.models.mask_rcnn.config import MaskRCNNConfig
from seglib.models.mask_rcnn.model import MaskRCNN, MaskRCNNOutput

__all__ = ["MaskRCNN", "MaskRCNNConfig", "MaskRCNNOutput"]
