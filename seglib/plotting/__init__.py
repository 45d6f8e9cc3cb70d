"""Every picture of the course, one function each; all return a figure that shows itself."""

from seglib.plotting.convolution import (
    convolution_step,
    feature_maps,
    show_kernels,
    show_output_sizes,
)
from seglib.plotting.curves import LiveCurve, bars, histogram, training_curve
from seglib.plotting.images import (
    compare,
    dataset_grid,
    show_heatmap,
    show_images,
    show_prediction,
    show_sample,
)
from seglib.plotting.overlays import class_color, overlay
from seglib.plotting.scores import ap_staircase, confusion_heatmap, precision_recall
from seglib.plotting.segments import paint_labels, show_panoptic, show_semantic
from seglib.plotting.style import PALETTE, Figure, color, figure, styled

__all__ = [
    "PALETTE",
    "Figure",
    "LiveCurve",
    "ap_staircase",
    "bars",
    "class_color",
    "color",
    "compare",
    "confusion_heatmap",
    "convolution_step",
    "dataset_grid",
    "feature_maps",
    "figure",
    "histogram",
    "overlay",
    "paint_labels",
    "precision_recall",
    "show_heatmap",
    "show_images",
    "show_kernels",
    "show_output_sizes",
    "show_panoptic",
    "show_prediction",
    "show_sample",
    "show_semantic",
    "styled",
    "training_curve",
]
