"""R-CNN (Girshick and others, CVPR 2014): a pipeline of fitted parts, no `Segmenter`."""

from seglib.models.rcnn.config import RCNNConfig
from seglib.models.rcnn.model import RCNN, proposals_of

__all__ = ["RCNN", "RCNNConfig", "proposals_of"]
