"""Small models of the `transformers` package with random weights, for tests of parity."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from seglib.pretrained.transformers_names import maskformer_state_from_transformers

transformers = pytest.importorskip("transformers")

CLASSES, QUERIES, CHANNELS = 5, 7, 32

# Of DETR, whose heads and queries start so small that all predictions are alike.
HEADS = ("class_labels_classifier", "bbox_predictor", "model.query", "detr.model.query")
HEADS += ("detr.class_labels_classifier", "detr.bbox_predictor")


def resnet(*stages: str) -> Any:
    """A ResNet of one bottleneck block per stage."""
    return transformers.ResNetConfig(
        embedding_size=64,
        hidden_sizes=[256, 512, 1024, 2048],
        depths=[1, 1, 1, 1],
        layer_type="bottleneck",
        out_features=list(stages),
    )


def detr_options() -> dict[str, Any]:
    return {
        "d_model": CHANNELS,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "num_queries": QUERIES,
        "num_labels": CLASSES,
        "dropout": 0.0,
        "use_timm_backbone": False,
        "use_pretrained_backbone": False,
        "backbone": None,
    }


def spread(model: nn.Module) -> nn.Module:
    """Random biases, norms and larger heads, so that a mistake in any of them shows."""
    generator = torch.Generator().manual_seed(1)
    for name, value in model.state_dict().items():
        if value.is_floating_point() and value.ndim == 1 and "empty_weight" not in name:
            noise = 0.2 * torch.rand(value.shape, generator=generator)
            value.add_(noise.to(value) - (0.0 if "var" in name else 0.1))
        elif name.startswith(HEADS):
            value.mul_(20.0)
    return model


class WithEncoder(nn.Module):
    """MaskFormer with a transformer encoder on c5, put together from `transformers`' modules.

    They have all parts of it, but no model: the order is that of the authors' pixel decoder.
    """

    def __init__(self, classes: int = CLASSES) -> None:
        super().__init__()
        parts = transformers.models.maskformer.modeling_maskformer
        options = {**detr_options(), "attn_implementation": "eager"}
        config = transformers.MaskFormerConfig(
            backbone_config=resnet("stage1", "stage2", "stage3", "stage4"),
            decoder_config=transformers.DetrConfig(**options),
            fpn_feature_size=CHANNELS,
            mask_feature_size=CHANNELS,
            num_labels=classes,
        )
        self.model = transformers.MaskFormerForInstanceSegmentation(config)
        inner = self.model.model
        sizes = {"feature_size": CHANNELS, "mask_feature_size": CHANNELS}
        widths = [256, 512, 1024]
        inner.pixel_level_module.decoder = parts.MaskFormerPixelDecoder(
            in_features=CHANNELS, lateral_widths=widths, **sizes
        )
        inner.transformer_module = parts.MaskFormerTransformerModule(CHANNELS, config)
        self.input_proj = nn.Conv2d(2048, CHANNELS, 1)
        self.encoder = transformers.models.detr.modeling_detr.DetrEncoder(config.decoder_config)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Class logits and mask logits of the last layer."""
        inner = self.model.model
        *finer, c5 = inner.pixel_level_module.encoder(pixels).feature_maps
        x = self.input_proj(c5)
        place = inner.transformer_module.position_embedder(x.shape, x.device, x.dtype)
        encoded = self.encoder(
            inputs_embeds=x.flatten(2).transpose(1, 2),
            spatial_position_embeddings=place.flatten(2).transpose(1, 2),
        ).last_hidden_state
        encoded = encoded.transpose(1, 2).reshape(x.shape)
        features = inner.pixel_level_module.decoder([*finer, encoded]).last_hidden_state
        states = inner.transformer_module(encoded).last_hidden_state
        masks = torch.einsum("bqc,bchw->bqhw", self.model.mask_embedder(states), features)
        return self.model.class_predictor(states), masks

    def our_state(self) -> dict[str, Tensor]:
        """Its weights by our names."""
        state = self.model.state_dict()
        for part in ("input_proj", "encoder"):
            for name, value in getattr(self, part).state_dict().items():
                state[f"pixel_encoder.{part}.{name}"] = value
        return maskformer_state_from_transformers(state)
