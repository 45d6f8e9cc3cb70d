"""Each figure of the course is a function here; a notebook displays the `Figure` that it returns.

Many of them share these arguments: `title` is the text above the figure (or its only panel),
`caption` the text below it, `columns` the number of panels per row, and `panel` the width of one
panel in inches.
"""

from seglib.plotting.alignment import show_alignment
from seglib.plotting.attention import show_attention
from seglib.plotting.bars import bars, histogram
from seglib.plotting.box_quality import show_box_quality, show_iou_histograms
from seglib.plotting.convolution import convolution_step, feature_maps, show_kernels
from seglib.plotting.curves import history_curve, layer_profile, training_curve
from seglib.plotting.detection import show_boxes, show_corrections
from seglib.plotting.diagrams import Block, flow_diagram
from seglib.plotting.error_bars import show_errors
from seglib.plotting.error_panels import show_judged
from seglib.plotting.features import feature_colors
from seglib.plotting.images import (
    compare,
    dataset_grid,
    show_heatmap,
    show_images,
    show_prediction,
    show_sample,
)
from seglib.plotting.iou import show_iou
from seglib.plotting.learning import show_learning
from seglib.plotting.live import LiveCurve
from seglib.plotting.location_grid import show_location_grid
from seglib.plotting.locations import show_locations
from seglib.plotting.masks import outlined, show_mask_pixels, show_polygon, show_rle
from seglib.plotting.networks import (
    fcn_diagram,
    fpn_diagram,
    residual_diagram,
    resnet_diagram,
    vgg_diagram,
)
from seglib.plotting.overlays import class_color, overlay
from seglib.plotting.panels import Figure, figure
from seglib.plotting.paradigms import PictureRow, show_paradigms, show_side_by_side
from seglib.plotting.polar import show_mask_errors, show_ray_profile, show_rays
from seglib.plotting.proposals import show_average_recall, show_coverage
from seglib.plotting.prototypes import show_mixture, show_prototypes
from seglib.plotting.quality_curves import ap_by_iou, correction_curve, show_differences
from seglib.plotting.queries import show_points, show_query, show_query_masks
from seglib.plotting.receptive import show_field_growth, show_receptive_field
from seglib.plotting.rois import reading_curve, show_roi_reading
from seglib.plotting.scores import ap_staircase, confusion_heatmap, precision_recall
from seglib.plotting.segments import (
    paint_labels,
    score_maps,
    show_panoptic,
    show_semantic,
    touching_instances,
)
from seglib.plotting.set_prediction import show_costs, show_matching, show_query_boxes
from seglib.plotting.sizes import show_output_sizes
from seglib.plotting.style import PALETTE, color, styled
from seglib.plotting.tasks import five_tasks, task_comparison
from seglib.plotting.timeline import timeline
from seglib.plotting.tradeoffs import tradeoff
from seglib.plotting.transposed import (
    show_bilinear_kernel,
    show_im2col,
    show_transposed_convolution,
)
from seglib.plotting.window_grids import show_window_labels, show_window_scores
from seglib.plotting.windows import show_patches, show_window

__all__ = [
    "PALETTE",
    "Block",
    "Figure",
    "LiveCurve",
    "PictureRow",
    "ap_by_iou",
    "ap_staircase",
    "bars",
    "class_color",
    "color",
    "compare",
    "confusion_heatmap",
    "convolution_step",
    "correction_curve",
    "dataset_grid",
    "fcn_diagram",
    "feature_colors",
    "feature_maps",
    "figure",
    "five_tasks",
    "flow_diagram",
    "fpn_diagram",
    "histogram",
    "history_curve",
    "layer_profile",
    "outlined",
    "overlay",
    "paint_labels",
    "precision_recall",
    "reading_curve",
    "residual_diagram",
    "resnet_diagram",
    "score_maps",
    "show_alignment",
    "show_attention",
    "show_average_recall",
    "show_bilinear_kernel",
    "show_box_quality",
    "show_boxes",
    "show_corrections",
    "show_costs",
    "show_coverage",
    "show_differences",
    "show_errors",
    "show_field_growth",
    "show_heatmap",
    "show_im2col",
    "show_images",
    "show_iou",
    "show_iou_histograms",
    "show_judged",
    "show_kernels",
    "show_learning",
    "show_location_grid",
    "show_locations",
    "show_mask_errors",
    "show_mask_pixels",
    "show_matching",
    "show_mixture",
    "show_output_sizes",
    "show_panoptic",
    "show_paradigms",
    "show_patches",
    "show_points",
    "show_polygon",
    "show_prediction",
    "show_prototypes",
    "show_query",
    "show_query_boxes",
    "show_query_masks",
    "show_ray_profile",
    "show_rays",
    "show_receptive_field",
    "show_rle",
    "show_roi_reading",
    "show_sample",
    "show_semantic",
    "show_side_by_side",
    "show_transposed_convolution",
    "show_window",
    "show_window_labels",
    "show_window_scores",
    "styled",
    "task_comparison",
    "timeline",
    "touching_instances",
    "tradeoff",
    "training_curve",
    "vgg_diagram",
]
