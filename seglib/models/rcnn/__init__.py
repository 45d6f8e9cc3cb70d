"""R-CNN (Girshick, Donahue, Darrell, Malik, CVPR 2014): a pipeline of separately fitted parts."""

from seglib.models.rcnn.config import RCNNConfig
from seglib.models.rcnn.model import RCNN
from seglib.models.rcnn.proposers import proposals_of

__all__ = ["RCNN", "RCNNConfig", "proposals_of"]
