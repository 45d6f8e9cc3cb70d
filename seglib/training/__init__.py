"""Training: `train` any Segmenter on any dataset, or `overfit` one batch first."""

from seglib.training.config import History, Progress, TrainConfig
from seglib.training.loop import overfit, train

__all__ = ["History", "Progress", "TrainConfig", "overfit", "train"]
