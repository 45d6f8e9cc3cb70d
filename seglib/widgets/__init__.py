"""Interactive explorers, which recompute through seglib's own functions, and quizzes."""

from seglib.widgets.anchors import AnchorExplorer
from seglib.widgets.attention import AttentionViewer
from seglib.widgets.cascade_stages import CascadeStages, StagedImage
from seglib.widgets.cell_masks import CellMasks
from seglib.widgets.explorer import Explorer
from seglib.widgets.fields import ReceptiveField
from seglib.widgets.matching import MatchingViewer
from seglib.widgets.mixing_desk import MixingDesk
from seglib.widgets.overlap import IoUExplorer
from seglib.widgets.polar_explorer import PolarExplorer
from seglib.widgets.query_viewer import QueryViewer
from seglib.widgets.quiz import Option, Question, Quiz
from seglib.widgets.skips import SkipMixer
from seglib.widgets.sliding_window import SlidingWindow
from seglib.widgets.stepper import ConvolutionStepper
from seglib.widgets.suppression import NMSStepper

__all__ = [
    "AnchorExplorer",
    "AttentionViewer",
    "CascadeStages",
    "CellMasks",
    "ConvolutionStepper",
    "Explorer",
    "IoUExplorer",
    "MatchingViewer",
    "MixingDesk",
    "NMSStepper",
    "Option",
    "PolarExplorer",
    "QueryViewer",
    "Question",
    "Quiz",
    "ReceptiveField",
    "SkipMixer",
    "SlidingWindow",
    "StagedImage",
]
