"""MaskFormer learns the same segments as the panoptic variant of DETR."""

from seglib.models.detr.segments import segment_batch, with_stuff

__all__ = ["segment_batch", "with_stuff"]
