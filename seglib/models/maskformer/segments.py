"""MaskFormer learns the same segments as a DETR for panoptic segmentation."""

from seglib.models.detr.segments import segment_batch, with_stuff

__all__ = ["segment_batch", "with_stuff"]
