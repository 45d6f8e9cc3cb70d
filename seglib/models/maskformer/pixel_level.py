"""Build the modules between backbone and queries, as the config's variant requires."""

from __future__ import annotations

from collections.abc import Sequence

from seglib.models.maskformer.config import MaskFormerConfig
from seglib.models.maskformer.deformable_decoder import DeformablePixelDecoder
from seglib.models.maskformer.pixel_decoder import DeepEncoder, PixelDecoder


def make_pixel_level(
    config: MaskFormerConfig, in_channels: Sequence[int]
) -> tuple[DeepEncoder | None, PixelDecoder | DeformablePixelDecoder]:
    """The encoder of c5, if there is one, and the pixel decoder.

    Args:
        config: contains the variant and the numbers of layers and channels.
        in_channels: channels of the backbone's maps, finest first.
    """
    channels, mask_channels = config.pixel_channels, config.mask_channels
    transformer = (config.pixel_layers, config.heads, config.pixel_hidden, config.dropout)
    if config.variant == "mask2former":
        if config.pixel_layers:
            decoder = DeformablePixelDecoder(in_channels, channels, mask_channels, *transformer)
            return None, decoder
        return None, PixelDecoder(in_channels, channels, mask_channels, kernel=1)
    if not config.pixel_layers:
        return None, PixelDecoder(in_channels, channels, mask_channels)
    *finer, deepest = in_channels
    encoder = DeepEncoder(deepest, channels, *transformer)
    return encoder, PixelDecoder([*finer, channels], channels, mask_channels)
