"""The figures a segmentation is judged by: average precision, recall, mean IoU, errors."""

from seglib.metrics.average_precision import (
    average_precision,
    interpolate_precision,
    precision_recall,
)
from seglib.metrics.ceilings import mask_ceiling, semantic_ceiling
from seglib.metrics.coco_evaluator import APResult, CocoEvaluator
from seglib.metrics.error_breakdown import ErrorBreakdown, judge_detections
from seglib.metrics.error_evaluator import ErrorEvaluator
from seglib.metrics.evaluate import evaluate
from seglib.metrics.matching import IOU_THRESHOLDS, image_overlaps, match_detections
from seglib.metrics.mean_iou import SemanticEvaluator, SemanticResult, confusion_matrix
from seglib.metrics.panoptic_quality import PanopticEvaluator
from seglib.metrics.proposal_recall import ProposalEvaluator, average_recall
from seglib.metrics.report import Metrics
from seglib.structures import COCO_AREA_RANGES

__all__ = [
    "COCO_AREA_RANGES",
    "IOU_THRESHOLDS",
    "APResult",
    "CocoEvaluator",
    "ErrorBreakdown",
    "ErrorEvaluator",
    "Metrics",
    "PanopticEvaluator",
    "ProposalEvaluator",
    "SemanticEvaluator",
    "SemanticResult",
    "average_precision",
    "average_recall",
    "confusion_matrix",
    "evaluate",
    "image_overlaps",
    "interpolate_precision",
    "judge_detections",
    "mask_ceiling",
    "match_detections",
    "precision_recall",
    "semantic_ceiling",
]
