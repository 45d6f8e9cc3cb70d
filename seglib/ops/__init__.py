"""Pure tensor functions without state; `seglib.use` can swap those that are primitives.

Run lengths have a module of their own, `seglib.ops.rle`: their `encode`, `area` and `iou` would
be mistaken for those of boxes and masks here.
"""

from seglib.ops.assignment import assign_boxes, balanced_sample
from seglib.ops.attention import attention, multi_head_attention
from seglib.ops.boxes import (
    box_area,
    box_iou,
    clip_boxes,
    cxcywh_to_xyxy,
    decode_deltas,
    encode_deltas,
    xywh_to_xyxy,
    xyxy_to_cxcywh,
    xyxy_to_xywh,
)
from seglib.ops.convolution import conv2d
from seglib.ops.coord_conv import coord_conv
from seglib.ops.detections import Detections, select_detections
from seglib.ops.dice_loss import squared_dice_loss
from seglib.ops.fast_nms import fast_nms
from seglib.ops.focal_loss import sigmoid_focal_loss
from seglib.ops.generalized_iou import generalized_box_iou
from seglib.ops.hungarian import hungarian
from seglib.ops.losses import cross_entropy
from seglib.ops.mask_paste import crop_resize_masks, paste_masks
from seglib.ops.masks import mask_area, mask_iou, masks_to_boxes
from seglib.ops.matrix_nms import matrix_nms
from seglib.ops.nms import batched_nms, nms
from seglib.ops.normalization import batch_norm
from seglib.ops.outlines import join_outlines, mask_outlines
from seglib.ops.points_nms import points_nms
from seglib.ops.polar_iou import polar_iou
from seglib.ops.polygons import rasterize
from seglib.ops.pooling import max_pool2d
from seglib.ops.roi_align import roi_align
from seglib.ops.roi_pool import roi_pool
from seglib.ops.smooth_dice_loss import smooth_dice_loss
from seglib.ops.transposed_convolution import conv_transpose2d
from seglib.ops.upsampling import bilinear_kernel, bilinear_upsample_kernel, interpolate
from seglib.ops.windows import col2im, im2col

__all__ = [
    "Detections",
    "assign_boxes",
    "attention",
    "balanced_sample",
    "batch_norm",
    "batched_nms",
    "bilinear_kernel",
    "bilinear_upsample_kernel",
    "box_area",
    "box_iou",
    "clip_boxes",
    "col2im",
    "conv2d",
    "conv_transpose2d",
    "coord_conv",
    "crop_resize_masks",
    "cross_entropy",
    "cxcywh_to_xyxy",
    "decode_deltas",
    "encode_deltas",
    "fast_nms",
    "generalized_box_iou",
    "hungarian",
    "im2col",
    "interpolate",
    "join_outlines",
    "mask_area",
    "mask_iou",
    "mask_outlines",
    "masks_to_boxes",
    "matrix_nms",
    "max_pool2d",
    "multi_head_attention",
    "nms",
    "paste_masks",
    "points_nms",
    "polar_iou",
    "rasterize",
    "roi_align",
    "roi_pool",
    "select_detections",
    "sigmoid_focal_loss",
    "smooth_dice_loss",
    "squared_dice_loss",
    "xywh_to_xyxy",
    "xyxy_to_cxcywh",
    "xyxy_to_xywh",
]
