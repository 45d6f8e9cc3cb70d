"""Cascade Mask R-CNN (Cai and Vasconcelos, CVPR 2018): box heads in a row, each stricter."""

from seglib.models.cascade_rcnn.config import CascadeRCNNConfig
from seglib.models.cascade_rcnn.model import CascadeOutput, CascadeRCNN, CascadeStage

__all__ = ["CascadeOutput", "CascadeRCNN", "CascadeRCNNConfig", "CascadeStage"]
